"""Where an embedded PostgreSQL lives.

    DATA_DIR/owner.lock      held by the taskrpc process that supervises the server
    DATA_DIR/server.lock     held by every process of the server itself
    DATA_DIR/postgres.log    what the server had to say
    DATA_DIR/postgres        the home: a directory of the server's account, mode 0700, or a link to one
        cluster/             PostgreSQL's own data directory
        socket/              its Unix socket

A server that root starts runs as an unprivileged account, which owns the home. If that account cannot enter
DATA_DIR – the default one of root lies below /root – nothing on the way there is opened to it: the home is
made below /var/lib/taskrpc instead and `DATA_DIR/postgres` is a link to it. The link alone counts: without it
a new, empty home is made, and no home is ever deleted.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded.account import Account, service_account

DATABASE: Final = "taskrpc"
SUPERUSER: Final = "postgres"
PORT: Final = 5432
OWNER_LOCK: Final = "owner.lock"
LONGEST_SOCKET_PATH: Final = 107
# Not the environment's TMPDIR: all processes that share a server must come to the same path.
SHORT_PLACE: Final = Path("/tmp")


@dataclass(frozen=True)
class Home:
    """The directories of one server, symbolic links resolved, and its account."""

    data_dir: Path
    path: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.path / "cluster"

    @property
    def log(self) -> Path:
        """The log, which we open: outside the home, where the account could put a link in its place."""
        return self.data_dir / "postgres.log"

    @property
    def mark(self) -> str:
        """The server's `cluster_name`, which stands in the command line of each of its processes."""
        return f"taskrpc-{hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]}"

    @property
    def socket_dir(self) -> Path:
        """The socket's directory: in the home, or below /tmp where that path does not do for a socket.

        It may be too long, and a comma or a quote would end it in PostgreSQL's setting or the driver's URL.
        """
        inside = self.path / "socket"
        length = len(os.fsencode(inside / f".s.PGSQL.{PORT}"))
        if length <= LONGEST_SOCKET_PATH and str(inside).isprintable() and not set(str(inside)) & {",", '"'}:
            return inside
        return SHORT_PLACE / self.mark

    def url(self, database: str = DATABASE) -> str:
        """The connection URL of a database of this server; the driver wants a port even for a socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.socket_dir), safe='')}&port={PORT}"

    def secure_socket_dir(self) -> None:
        """Make the socket's directory, or make sure that the one that is there is the account's alone.

        Whoever could write there could pass for the server. Raises `unavailable` if it is somebody else's.
        """
        directory, mine = self.socket_dir, {self.account.uid, os.geteuid()}
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        info = directory.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid not in mine or info.st_mode & 0o077:
            raise TaskRpcError(
                "unavailable",
                f"{directory}, the place for the socket of PostgreSQL, is not a directory that only the "
                f"account {self.account.name} can enter: delete it, or name another data directory",
            )
        give(directory, self.account)


def give(directory: Path, account: Account) -> None:
    """Make `account` the owner of a directory of ours."""
    if directory.lstat().st_uid != account.uid:
        os.chown(directory, account.uid, account.gid, follow_symlinks=False)


def create_data_dir(data_dir: Path) -> None:
    """Make the data directory if it is not there; one that is there keeps its mode and owner.

    Of several makers one succeeds, because no directory replaces one with a file in it.
    """
    # The account of a server that root starts is to pass through to its home; it cannot list what is there.
    _make(data_dir, 0o711 if os.geteuid() == 0 else None, OWNER_LOCK)


def create_public_dir(directory: Path) -> None:
    """Make a directory of ours that every account may enter and list, whatever the umask."""
    _make(directory, 0o755)


def _make(directory: Path, mode: int | None, *files: str) -> None:
    """Make a directory, if it is not there, aside, so that it gets its name with its mode set and its files in it.

    Whoever sees it may judge by that mode whether an account can enter. Without a mode only its owner can.
    """
    if directory.exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    side = Path(tempfile.mkdtemp(prefix=".taskrpc-", dir=directory.parent))
    try:
        if mode is not None:
            side.chmod(mode)
        for name in files:
            (side / name).touch(mode=0o600)
        side.rename(directory)
    except OSError:
        shutil.rmtree(side, ignore_errors=True)
        if not directory.exists():
            raise


def find_home(data_dir: Path) -> Home | None:
    """The home of the server in `data_dir`, None while there is none.

    Raises `unavailable` if its directory is gone or belongs to another user, and OSError.
    """
    link = data_dir / "postgres"
    path = link.resolve()
    try:
        owner = path.stat()
    except FileNotFoundError:
        if not link.is_symlink():
            return None
        raise TaskRpcError(
            "unavailable",
            f"{link} leads to {path}, where the database was kept, and that is gone: "
            f"restore it, or delete {link} to begin with an empty database",
        ) from None
    account = Account(owner.st_uid, owner.st_gid) if owner.st_uid != 0 else service_account()
    if os.geteuid() not in {0, account.uid}:
        raise TaskRpcError(
            "unavailable",
            f"the database in {data_dir} belongs to the account {account.name}: "
            "start taskrpc as that account, or name another data directory",
        )
    return Home(data_dir, path, account)


def prepare_home(data_dir: Path, system_dir: Path) -> Home:
    """The home of the server in `data_dir`, made if there is none; for the holder of the owner's lock.

    `system_dir` is where a home is made that the account could not reach in its data directory.
    Raises `unavailable` as `find_home` does and if the account cannot reach the home, and OSError.
    """
    home = find_home(data_dir) or _create_home(data_dir, service_account(), system_dir)
    give(home.path, home.account)
    if not home.account.enters(home.path):
        raise TaskRpcError(
            "unavailable",
            f"PostgreSQL runs as the account {home.account.name}, which cannot enter {home.path}: let it "
            "pass through the directories above, or name another data directory",
        )
    home.secure_socket_dir()
    return home


def _create_home(data_dir: Path, account: Account, system_dir: Path) -> Home:
    path = data_dir / "postgres"
    if account.enters(data_dir):
        path.mkdir(mode=0o700)
    else:
        create_public_dir(system_dir)
        elsewhere = Path(tempfile.mkdtemp(prefix=f"{data_dir.name}-", dir=system_dir))
        path.symlink_to(elsewhere)
    return Home(data_dir, path.resolve(), account)
