"""What a storage of files can do. Paths are checked by the caller; prefixes end with a slash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, Protocol, TypeVar

PIECE: Final = 256 * 1024
_MOST_AT_ONCE: Final = 16

T = TypeVar("T")


class OpenFile(Protocol):
    """A file as it was when it was opened, whatever becomes of its path; to be closed."""

    size: int
    modified: datetime

    def pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        """The bytes from `start`, in pieces of at most PIECE. Raises OSError if fewer come."""

    async def close(self) -> None:
        """Lets go of it."""


class Storage(Protocol):
    """Files by path. What fails raises OSError; FileNotFoundError if there is no such file."""

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> int:
        """Stores a file, in place of the one with this path, and answers its size.

        It is there as a whole, once this returns, or not at all: if `pieces` raises nothing has changed.
        """

    async def open(self, path: str) -> OpenFile:
        """Opens a file for reading."""

    async def delete(self, prefix: str) -> None:
        """Removes all files whose paths begin with this; none may be there."""


async def in_pieces(read: Callable[[int, int], Awaitable[bytes]], start: int, length: int) -> AsyncIterator[bytes]:
    """The `pieces` of a file. `read` is given an offset and answers the bytes from there, at most so many."""
    left = length
    while left:
        piece = await read(start + length - left, min(left, PIECE))
        if not piece:
            raise OSError(f"{left} bytes are missing at its end")
        left -= len(piece)
        yield piece


class Threads:
    """Threads for what blocks, of their own: a slow storage must not hold up anything else."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, "taskrpc-storage")

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` answers; it is waited for also if the caller is cancelled, however often, so that nobody closes
        what it still uses."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        cancelled: asyncio.CancelledError | None = None
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            running.exception()  # nobody is left to be told
            raise cancelled
        return running.result()
