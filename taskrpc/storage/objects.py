"""Files in S3 and in what speaks its protocol, by fsspec and s3fs."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import fsspec  # type: ignore[import-untyped]

from taskrpc.storage.storage import Threads, in_pieces

# A part of a multipart upload, and what is fetched at a time: S3 takes no smaller parts than 5 MiB, and 10,000 of them.
_BLOCK: Final = 8 * 2**20
# Both libraries try again, each the attempts of the other: with their defaults a storage that is silent holds a thread
# for six minutes. Clients repeat what is unavailable.
_ATTEMPTS: Final = 2
_RETRIES: Final = {"mode": "standard", "total_max_attempts": 2}

T = TypeVar("T")


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """The libraries behind fsspec have errors of their own; for us they all mean that the storage refuses."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


class _Calls:
    """Calls of fsspec in threads."""

    def __init__(self) -> None:
        self._threads = Threads()

    async def __call__(self, work: Callable[[], T]) -> T:
        with _as_os_errors():
            return await self._threads(work)


class ObjectFile:
    """An object that was opened; one that is replaced meanwhile is noticed by its size or its tag."""

    def __init__(self, calls: _Calls, file: Any, info: dict[str, Any]) -> None:
        self.size = int(info["size"])
        modified: datetime = info["LastModified"]
        self.modified = modified.astimezone(UTC)
        self._calls = calls
        self._file = file

    def pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        return in_pieces(self._read, start, length)

    async def _read(self, offset: int, most: int) -> bytes:
        def read() -> bytes:
            self._file.seek(offset)
            piece: bytes = self._file.read(most)
            return piece

        return await self._calls(read)

    async def close(self) -> None:
        await self._calls(self._file.close)


class ObjectStorage:
    """Objects below `s3://bucket/prefix`; credentials and endpoint come from the usual AWS_ variables and files."""

    def __init__(self, url: str) -> None:
        """Raises ImportError if the package s3fs is missing."""
        self._fs, root = fsspec.core.url_to_fs(
            url, use_listings_cache=False, skip_instance_cache=True, config_kwargs={"retries": _RETRIES}
        )
        self._fs.retries = _ATTEMPTS
        self._root = root.rstrip("/")
        self._calls = _Calls()

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> int:
        file = await self._calls(lambda: self._begin(path))
        try:
            size = 0
            async for piece in pieces:
                await self._calls(lambda: file.write(piece))  # noqa: B023
                size += len(piece)
            await self._calls(lambda: _publish(file))
            return size
        except BaseException:
            await self._calls(lambda: _forget(file))
            raise

    def _begin(self, path: str) -> Any:
        return self._fs.open(f"{self._root}/{path}", "wb", block_size=_BLOCK, autocommit=False)

    async def open(self, path: str) -> ObjectFile:
        return await self._calls(lambda: self._open(f"{self._root}/{path}"))

    def _open(self, path: str) -> ObjectFile:
        info = self._fs.info(path)
        if info["type"] != "file":
            raise FileNotFoundError(path)
        file = self._fs.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
        return ObjectFile(self._calls, file, getattr(file, "details", None) or info)

    async def delete(self, prefix: str) -> None:
        await self._calls(lambda: self._delete(f"{self._root}/{prefix}"))

    def _delete(self, prefix: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(prefix.rstrip("/"), recursive=True)


def _publish(file: Any) -> None:
    file.close()
    file.commit()


def _forget(file: Any) -> None:
    """Aborts an upload, so that nothing of it stays; later even the collector must not end it."""
    with contextlib.suppress(Exception):  # what failed first is told
        file.discard()
    file.closed = True
