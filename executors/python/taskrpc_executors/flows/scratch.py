"""Directories for tasks on this machine, below one of this process.

A process that was killed leaves its directory behind; the next one removes it. Whether a process lives is told by a
lock on its directory, which the kernel drops with it.
"""

import fcntl
import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Final

PREFIX: Final = "taskrpc-work-"
_UNFINISHED: Final = "taskrpc-new-"


class Scratch:
    """Makes directories; they are gone at the latest when the process ends in order. Its methods block."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._making = threading.Lock()

    def directory(self) -> Path:
        """A new directory, which is the caller's."""
        with self._making:
            if self._root is None:
                _remove_abandoned()
                self._root, lock = _locked_root()
                weakref.finalize(self, _remove, self._root, lock)
        return Path(tempfile.mkdtemp(dir=self._root))


def _locked_root() -> tuple[Path, int]:
    """A directory that gets its name when its lock is held, so that nobody takes it for abandoned."""
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED))
    lock = os.open(made, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return made.rename(made.with_name(made.name.replace(_UNFINISHED, PREFIX, 1))), lock


def _remove_abandoned() -> None:
    for found in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone meanwhile, or somebody else's
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(found, ignore_errors=True)
        except BlockingIOError:
            pass  # its process lives
        finally:
            os.close(lock)


def _remove(root: Path, lock: int) -> None:
    shutil.rmtree(root, ignore_errors=True)
    os.close(lock)
