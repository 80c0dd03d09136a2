"""Files of the service's internal storage, for programs: up and down in streams, again when a connection breaks."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, TypeVar
from urllib.parse import quote

import httpx2

from taskrpc.core.file_uri import path_of
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .exchange import read_error
from .retry import RetryPolicy
from .tls import trust

PIECE: Final = 256 * 1024
_TIMEOUT: Final = 30.0

T = TypeVar("T")


class _Broken(Exception):
    """What may go well when it is done again; the text is a phrase for a person."""


class AsyncFiles:
    """Uploads and downloads for an event loop; an async context manager.

    `token` opens the files of one execution; it comes with the params of a task. Refusals raise `TaskRpcError`, also
    `unavailable` when the service could not be reached for as long as `retry` says; a file of this machine that cannot
    be read or written raises OSError.
    """

    def __init__(
        self, url: str, *, token: str | None = None, api_key: str | None = None, retry: RetryPolicy | None = None
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/rpc") + "/files/"
        self._retry = retry or RetryPolicy()
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if api_key is not None:
            headers["x-api-key"] = api_key
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT, verify=trust())

    async def upload(self, file: Path, uri: str) -> None:
        """Store a file of this machine, in place of the one that has this URI."""

        async def upload() -> None:
            size = (await asyncio.to_thread(file.stat)).st_size
            opened = await asyncio.to_thread(file.open, "rb")
            try:
                content, headers = _pieces(opened), {"content-length": str(size)}
                response = await self._http.put(self._of(uri), content=content, headers=headers)
            finally:
                opened.close()
            await _check(response)

        await self._persistently(upload)

    async def download(self, uri: str, file: Path) -> None:
        """Write a stored file to this machine, over what is there."""

        async def download() -> None:
            async with self._http.stream("GET", self._of(uri)) as response:
                await _check(response)
                opened = await asyncio.to_thread(file.open, "wb")
                try:
                    async for piece in response.aiter_bytes(PIECE):
                        await asyncio.to_thread(opened.write, piece)
                finally:
                    await asyncio.to_thread(opened.close)

        await self._persistently(download)

    async def age(self, uri: str) -> timedelta | None:
        """How long ago a file was stored, by the service's clock; None if there is none."""

        async def age() -> timedelta | None:
            response = await self._http.head(self._of(uri))
            if response.status_code == 404:
                return None
            if response.is_error:  # the answer to HEAD does not say why
                response = await self._http.get(self._of(uri), headers={"range": "bytes=0-0"})
            await _check(response)
            now, then = (parsedate_to_datetime(response.headers[name]) for name in ("date", "last-modified"))
            return now - then

        return await self._persistently(age)

    def _of(self, uri: str) -> str:
        try:
            return self._url + quote(path_of(uri))
        except ValueError as error:
            raise TaskRpcError("invalid-params", f"uri: {error}") from None

    async def _persistently(self, work: Callable[[], Awaitable[T]]) -> T:
        attempt, failing_since = 1, None
        while True:
            try:
                return await work()
            except (_Broken, httpx2.TransportError) as error:
                now = time.monotonic()
                failing_since = failing_since or now
                delay = self._retry.delay(attempt, now - failing_since, 0, random.random())
                if delay is None:
                    reason = str(error) or type(error).__name__
                    raise TaskRpcError("unavailable", f"{self._url} cannot be reached: {reason}") from error
            attempt += 1
            await asyncio.sleep(delay)

    async def __aenter__(self) -> "AsyncFiles":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


async def _check(response: httpx2.Response) -> None:
    """Raises the error that a response tells."""
    if response.is_success:
        return
    body = await response.aread()
    if response.status_code in (502, 503, 504):
        raise _Broken(f"answered {response.status_code}: {body[:200].decode('utf-8', 'replace')}")
    raise _refusal(response.status_code, body)


def _refusal(status: int, body: bytes) -> TaskRpcError:
    try:
        error = read_error(JSON.decode(body))
    except TaskRpcError:
        error = None
    start = body[:80].decode("utf-8", "replace")
    return error or TaskRpcError("unavailable", f"answered {status} and no error of the service: {start!r}")
