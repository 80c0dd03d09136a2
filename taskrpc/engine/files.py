"""The internal storage of files: inputs, outputs, whatever is too large to travel in params. Their URIs travel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from taskrpc.core.file_uri import path_of
from taskrpc.core.names import check_path
from taskrpc.engine.file_tokens import FileTokens
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.storage.storage import OpenFile, Storage
from taskrpc.store.database import unavailable

_IN_THE_WAY: Final = (FileExistsError, NotADirectoryError, IsADirectoryError)


class Files:
    """The files of all namespaces and executions. Paths are checked here, whoever names them."""

    def __init__(self, storage: Storage, tokens: FileTokens, largest: int) -> None:
        self.tokens = tokens
        self.largest = largest
        self._storage = storage

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> int:
        """Stores a file as a whole, in place of the one with this path, or nothing; answers its size.

        Raises `invalid-params` for a path that is none, `body-too-large`, `unavailable`, and what `pieces` raises.
        """
        path = checked(path)
        try:
            return await self._storage.write(path, self._bounded(pieces))
        except _IN_THE_WAY:
            raise invalid_params(
                "path", f"{path[:200]!r}: a file is where a directory is needed, or the other way"
            ) from None
        except OSError as error:
            raise _refused(error) from error

    async def _bounded(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for piece in pieces:
            size += len(piece)
            if size > self.largest:
                raise too_large(self.largest)
            yield piece

    @asynccontextmanager
    async def reading(self, path: str) -> AsyncIterator[OpenFile]:
        """A file, open for the length of a block. Raises `invalid-params`, `file-not-found` and `unavailable`."""
        file = await self.open(path)
        try:
            yield file
        finally:
            await file.close()

    async def open(self, path: str) -> OpenFile:
        """A file that the caller closes; raises as `reading` does."""
        path = checked(path)
        try:
            return await self._storage.open(path)
        except FileNotFoundError:
            raise TaskRpcError("file-not-found", f"There is no file {path[:200]!r}") from None
        except OSError as error:
            raise _refused(error) from error

    async def content(self, uri: str, most: int) -> bytes:
        """The whole of a small file, for what flows render; raises `invalid-params` if it has over `most` bytes."""
        async with self.reading(_path(uri)) as file:
            if file.size > most:
                raise invalid_params("uri", f"{uri[:200]} has {file.size} bytes; at most {most} can be read at once")
            return b"".join([piece async for piece in file.pieces(0, file.size)])

    async def size(self, uri: str) -> int:
        """How many bytes a file has; raises as `reading` does."""
        async with self.reading(_path(uri)) as file:
            return file.size

    async def delete(self, prefix: str) -> None:
        """Removes all files below a path that ends with a slash: those of an execution that is forgotten."""
        checked(prefix.removesuffix("/"))
        try:
            await self._storage.delete(prefix)
        except OSError as error:
            raise _refused(error) from error


def checked(path: str) -> str:
    """The path; raises `invalid-params` for one that could lead elsewhere."""
    try:
        return check_path(path)
    except ValueError as error:
        raise invalid_params("path", str(error)) from None


def _path(uri: str) -> str:
    try:
        return path_of(uri)
    except ValueError as error:
        raise invalid_params("uri", str(error)) from None


def too_large(limit: int) -> TaskRpcError:
    """The refusal of a file of more than `limit` bytes."""
    return TaskRpcError("body-too-large", f"A file has at most {limit} bytes", {"limit": limit})


def _refused(error: OSError) -> TaskRpcError:
    return unavailable(f"The storage of files refuses: {error.strerror or error}")
