"""The operating-system account that PostgreSQL runs as: it refuses to run as root."""

import contextlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskrpc.errors import TaskRpcError

SERVICE_ACCOUNTS: Final = ("taskrpc", "postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account by its numbers, and what it can reach in the file system by their mode bits."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The account's name, or its number where it has none."""
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name
        return str(self.uid)

    def enters(self, directory: Path) -> bool:
        """Whether the account may pass through `directory` and everything above it."""
        if self.uid == os.geteuid():
            return os.access(directory, os.X_OK)
        resolved = directory.resolve()
        return all(self._may(0o1, path) for path in (resolved, *resolved.parents))

    def reads(self, path: Path) -> bool:
        """Whether the account may read and enter a directory, or read and run a file."""
        resolved = path.resolve()
        return self.enters(resolved.parent) and self._may(0o5, resolved)

    def _may(self, bits: int, path: Path) -> bool:
        info = path.stat()
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return self.uid == 0 or (info.st_mode >> shift) & bits == bits


def service_account() -> Account:
    """The account for a new server: ours, or for root the first of `SERVICE_ACCOUNTS` that exists."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in SERVICE_ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise TaskRpcError(
        "unavailable",
        "PostgreSQL refuses to run as root and there is no unprivileged account for it: create an account "
        "'taskrpc', start taskrpc as another user than root, or give --database-url",
    )
