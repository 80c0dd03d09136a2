"""The cache of a working directory: files that fit its patterns, as one archive in the internal storage."""

import asyncio
import logging
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from taskrpc.client import AsyncFiles
from taskrpc.errors import TaskRpcError

from .workspace import OWN, Workspace

logger = logging.getLogger("taskrpc.executor")

_COMPRESSION: Final = 5

# What archives of all kinds of damage raise.
_DAMAGED: Final = (TaskRpcError, tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, OSError)

_PIECE: Final = 256 * 1024

State = dict[str, tuple[int, int]]


class DirectoryCache:
    """Restores the files at the beginning and stores them at the end, if there is another state of them.

    It only saves work: whatever is wrong with it is logged, and the directory goes on without.
    """

    def __init__(self, workspace: Workspace, files: AsyncFiles, uri: str, patterns: Sequence[str]) -> None:
        self._workspace = workspace
        self._files = files
        self._uri = uri
        self._patterns = patterns
        self._restored: State = {}

    async def restore(self, ttl: timedelta | None) -> None:
        """Puts the files there, unless they were stored longer than `ttl` ago."""
        try:
            age = await self._files.age(self._uri)
            if age is None or (ttl is not None and age > ttl):
                return
            archive = self._workspace.own("cache.tar.gz")
            await self._files.download(self._uri, archive)
            await asyncio.to_thread(_unpack, archive, self._workspace.directory)
            self._restored = await asyncio.to_thread(self._state)
        except _DAMAGED as error:
            logger.warning("the cache %s could not be restored: %s", self._uri, error)
            await asyncio.to_thread(_clear, self._workspace.directory)

    async def store(self) -> None:
        """Stores the files as they are now, if they have changed."""
        try:
            state = await asyncio.to_thread(self._state)
            if state and state != self._restored:
                archive = self._workspace.own("cache.tar.gz")
                await asyncio.to_thread(_pack, archive, self._workspace.directory, list(state))
                await self._files.upload(archive, self._uri)
        except (TaskRpcError, tarfile.TarError, OSError) as error:
            logger.warning("the cache %s could not be stored: %s", self._uri, error)

    def _state(self) -> State:
        """Sizes and times of the files, and of links, which packages are full of."""
        names = self._workspace.matching(self._patterns, links=True)
        statuses = ((name, (self._workspace.directory / name).lstat()) for name in names)
        return {name: (status.st_size, status.st_mtime_ns) for name, status in statuses}


def _pack(archive: Path, directory: Path, names: Sequence[str]) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=_COMPRESSION) as tar:
        for name in names:
            tar.add(directory / name, name, recursive=False)


def _clear(directory: Path) -> None:
    """Half a cache may be worse than none; nothing else is there yet."""
    for path in directory.iterdir():
        if path.name != OWN:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _unpack(archive: Path, directory: Path) -> None:
    """Nothing that is in the archive can lie elsewhere: tarfile's data filter sees to that."""
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(directory, filter="data")
        while tar.fileobj is not None and tar.fileobj.read(_PIECE):
            pass  # the checksum comes last
