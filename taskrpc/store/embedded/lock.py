"""A lock on a file that ends with the processes that hold it, however they end."""

import asyncio
import fcntl
import os
import weakref
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.02


class FileLock:
    """An exclusive `flock`, held by this process and by any child that its descriptor is passed to.

    The kernel drops it when the last of them has closed the descriptor or died. So there are no stale locks,
    and whoever gets the lock knows that all of them are gone, also those in another PID namespace.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def fileno(self) -> int:
        """The descriptor that carries the lock, to be passed to a child that is to hold it too."""
        if self._descriptor is None:
            raise ValueError(f"{self.path} is not locked")
        return self._descriptor

    def try_acquire(self) -> bool:
        """Take the lock if it is free; raises OSError if the file cannot be opened or locked at all."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have deleted the file in between: a lock on a file without a name guards nothing.
            current = os.path.samestat(os.fstat(descriptor), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            current = False
        except OSError:
            os.close(descriptor)
            raise
        if not current:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        _held.add(self)
        return True

    async def acquire(self, patience: float, interval: float = POLL_SECONDS) -> bool:
        """Try every `interval` seconds for up to `patience` seconds; False if others still hold it then."""
        deadline = asyncio.get_running_loop().time() + patience
        while not self.try_acquire():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(interval)
        return True

    def release(self) -> None:
        """Let go of the lock; children it was passed to keep it. Does nothing when it is not held."""
        if self._descriptor is not None:
            # Never LOCK_UN: that would end the lock for the children as well.
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(self)


_held: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


def _release_in_forked_child() -> None:
    """A forked worker is no holder; else it would keep the locks of a parent that was killed."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_forked_child)
