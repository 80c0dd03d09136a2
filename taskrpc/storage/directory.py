"""Files in a directory of this machine, or of a network file system that several servers share."""

import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from taskrpc.core.ids import serial_id
from taskrpc.storage.storage import Threads, in_pieces

# What a server that died had begun to write.
_ABANDONED_SECONDS: Final = 86_400


class DirectoryFile:
    """A file that was opened."""

    def __init__(self, threads: Threads, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self.size = status.st_size
        self.modified = datetime.fromtimestamp(status.st_mtime, UTC)
        self._threads = threads
        self._file = file

    def pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        return in_pieces(self._read, start, length)

    async def _read(self, offset: int, most: int) -> bytes:
        return await self._threads(lambda: os.pread(self._file.fileno(), most, offset))

    async def close(self) -> None:
        await self._threads(self._file.close)


class DirectoryStorage:
    """Files below `root`/files; what is being written lies in `root`/incoming, on the same file system."""

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"
        self._threads = Threads()

    async def write(self, path: str, pieces: AsyncIterator[bytes]) -> int:
        draft = self._incoming / serial_id()
        file: BinaryIO | None = None
        try:
            file = await self._threads(lambda: self._begin(draft))
            async for piece in pieces:
                await self._threads(lambda: file.write(piece))  # noqa: B023
            return await self._threads(lambda: self._publish(file, draft, self._files / path))
        finally:
            await self._threads(lambda: _forget(file, draft))

    def _begin(self, draft: Path) -> BinaryIO:
        for directory in (self._incoming, self._files):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        return draft.open("xb")

    def _sweep(self) -> None:
        earliest = time.time() - _ABANDONED_SECONDS
        for left in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another server was faster
                if left.stat().st_mtime < earliest:
                    left.unlink()

    @staticmethod
    def _publish(file: BinaryIO, draft: Path, target: Path) -> int:
        file.flush()
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
        _make_directory(target.parent)
        draft.replace(target)
        _sync_directory(target.parent)
        return size

    async def open(self, path: str) -> DirectoryFile:
        return await self._threads(lambda: self._open(self._files / path))

    def _open(self, path: Path) -> DirectoryFile:
        if not path.is_file():
            raise FileNotFoundError(path)
        return DirectoryFile(self._threads, path.open("rb"))

    async def delete(self, prefix: str) -> None:
        await self._threads(lambda: _delete(self._files / prefix))


def _forget(file: BinaryIO | None, draft: Path) -> None:
    if file is not None:
        with contextlib.suppress(OSError):  # a full disk is told by the write that failed
            file.close()
    draft.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    """Makes a directory with its parents so that it is there after a power failure, too."""
    if not directory.is_dir():
        _make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
