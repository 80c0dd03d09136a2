"""Where the bytes come from: files below allowed directories, and HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

import httpx2

from .bad_input import bad_params, unreadable

CHUNK: Final = 64 * 1024
_HTTP_TIMEOUT: Final = 60.0

Source = AbstractAsyncContextManager[AsyncIterator[bytes]]


def open_source(url: str, allowed_directories: Sequence[Path]) -> Source:
    """The bytes behind a `file:`, `http:` or `https:` URL, in pieces of some 64 KiB.

    Files are read only below `allowed_directories`, wherever links lead. Raises `TaskRpcError`.
    """
    match urlsplit(url).scheme:
        case "file":
            return _opened_file(url, _permitted(url, allowed_directories))
        case "http" | "https":
            return _download(url)
        case scheme:
            raise bad_params("input.url", f"{scheme or url!r} is none of file:, http: and https:")


def is_local(url: str) -> bool:
    """Whether reading the input twice costs no network."""
    return urlsplit(url).scheme == "file"


def _permitted(url: str, allowed_directories: Sequence[Path]) -> Path:
    if urlsplit(url).netloc not in {"", "localhost"}:
        raise bad_params("input.url", f"{url} names another machine: a file's URL is like file:///data/x.ndjson")
    path = Path(unquote(urlsplit(url).path)).resolve()
    if not any(path.is_relative_to(directory.resolve()) for directory in allowed_directories):
        raise unreadable(url, "this executor may not read files there; allow it with --allow-files DIRECTORY")
    return path


@asynccontextmanager
async def _opened_file(url: str, path: Path) -> AsyncIterator[AsyncIterator[bytes]]:
    file = await asyncio.to_thread(_open, url, path)
    try:
        yield _read(url, file)
    finally:
        file.close()


def _open(url: str, path: Path) -> BinaryIO:
    try:
        # Opening a pipe would wait for its writer, for ever.
        if path.exists() and not path.is_file():
            raise unreadable(url, "not a regular file")
        return path.open("rb")
    except OSError as error:
        raise unreadable(url, error.strerror or str(error)) from None


async def _read(url: str, file: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
    except OSError as error:
        raise unreadable(url, error.strerror or str(error)) from None


@asynccontextmanager
async def _download(url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The content as it is meant: a compression of the transport alone is undone on the way."""
    headers = {"accept-encoding": "identity"}
    try:
        async with (
            httpx2.AsyncClient(follow_redirects=True, timeout=_HTTP_TIMEOUT) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise unreadable(url, f"the server answered {response.status_code}")
            yield response.aiter_bytes(CHUNK)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise unreadable(url, str(error) or type(error).__name__) from None
