"""One run of PostgreSQL on the cluster of a home: created if need be, started, watched, stopped."""

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded.binaries import Installation
from taskrpc.store.embedded.home import PORT, SUPERUSER, Home
from taskrpc.store.embedded.lock import FileLock
from taskrpc.store.embedded.processes import Child, foreign_server, send_signal, server_processes

logger: Final = logging.getLogger(__name__)

SETTINGS: Final[Mapping[str, str]] = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    # Short statements gain nothing from parallel workers, and these want more /dev/shm than containers have.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    # A node that has huge pages but grants a container none ends PostgreSQL with SIGBUS.
    "huge_pages": "off",
    "synchronous_commit": "on",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# A fast shutdown: sessions are closed and a checkpoint is written. That takes a second where the recovery
# after an immediate shutdown takes seven, so it is also how PostgreSQL ends with its owner.
SHUTDOWN: Final = signal.SIGINT
STOP_SIGNALS: Final = ((SHUTDOWN, 20.0), (signal.SIGQUIT, 6.0))
# Seconds of patience with a server whose owner is gone, and what follows.
LEFTOVER_SIGNALS: Final = ((1.0, SHUTDOWN), (9.0, signal.SIGQUIT), (3.0, signal.SIGKILL), (5.0, None))
WATCH_SECONDS: Final = 0.2
PROGRESS_SECONDS: Final = 5.0


def cluster_major(home: Home) -> int | None:
    """The major version of the PostgreSQL that made the cluster; None if there is no cluster yet."""
    if not home.cluster.exists():
        return None
    try:
        return int((home.cluster / "PG_VERSION").read_bytes())
    except (FileNotFoundError, ValueError):
        raise TaskRpcError(
            "unavailable",
            f"{home.cluster} is damaged, it has no PG_VERSION: restore it, or move it away to begin with an "
            "empty database",
        ) from None


async def await_former_server(home: Home, lock: FileLock) -> None:
    """Take the server's lock, which means that no process of a former server is left.

    A server whose owner died is shutting down already; one that does not come to an end is helped along.
    Raises `unavailable` if that is in vain, or the cluster is in use by a server that is not ours.
    """
    for patience, number in LEFTOVER_SIGNALS:
        if await lock.acquire(patience):
            break
        if number is not None:
            leftovers = server_processes(home)
            logger.warning("sending %s to what is left of the former PostgreSQL: %s", number.name, leftovers)
            send_signal(leftovers, number)
    else:
        raise TaskRpcError(
            "unavailable",
            f"a former PostgreSQL of {home.data_dir} does not end, perhaps one in another container: stop it",
        )
    if pid := foreign_server(home):
        lock.release()
        raise TaskRpcError(
            "unavailable",
            f"process {pid} is a PostgreSQL that was started on {home.cluster} by hand: stop it, "
            "or give its address as --database-url",
        )


async def create_cluster(home: Home, installation: Installation, settings: Mapping[str, str], lock: FileLock) -> None:
    """Run initdb in a side directory that gets its name when it is complete; for the holder of `lock`."""
    for unfinished in home.path.glob("initdb-*"):
        shutil.rmtree(unfinished)
    side = home.path / f"initdb-{os.getpid()}"
    command: list[str | Path] = [installation.program("initdb"), "--pgdata", side, "--username", SUPERUSER]
    command += ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale"]
    command += ["--no-instructions"]
    command += ["--no-sync"] if settings.get("fsync") == "off" else []
    initdb = Child.start(home, command, signal.SIGKILL, lock)
    try:
        status = await initdb.exited()
    finally:
        await initdb.end([(signal.SIGKILL, 5.0)])
    if status != 0:
        shutil.rmtree(side, ignore_errors=True)
        raise _failure("initdb, which creates the database, failed", home, initdb)
    side.rename(home.cluster)
    directory = os.open(home.path, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


class Server:
    """A running PostgreSQL, a child of this process."""

    def __init__(self, home: Home, postmaster: Child) -> None:
        self.home = home
        self._postmaster = postmaster

    @classmethod
    async def start(
        cls, home: Home, installation: Installation, settings: Mapping[str, str], lock: FileLock
    ) -> "Server":
        """Start PostgreSQL and wait until it takes connections, however long the recovery from a crash lasts.

        For the holder of `lock`, which the server's processes inherit. Raises `unavailable` with what it
        said.
        """
        _remove_stale_files(home)
        arguments = [f"{name}={value}" for name, value in _all_settings(home, settings).items()]
        command: list[str | Path] = [installation.program("postgres"), "-D", home.cluster]
        for argument in arguments:
            command += ["-c", argument]
        server = cls(home, Child.start(home, command, SHUTDOWN, lock))
        try:
            await server._ready()
        except BaseException:
            await server.stop()
            raise
        return server

    async def _ready(self) -> None:
        clock = asyncio.get_running_loop().time
        say_at = clock() + PROGRESS_SECONDS
        while not self._is_ready():
            if self._postmaster.status() is not None:
                raise _failure("PostgreSQL did not start", self.home, self._postmaster)
            if clock() > say_at:
                say_at = clock() + PROGRESS_SECONDS
                logger.info("PostgreSQL is not ready yet; it last said: %s", self.last_words())
            await asyncio.sleep(0.01)

    def _is_ready(self) -> bool:
        """Whether `postmaster.pid` names our process in line 1, and in line 8 the state `ready`."""
        try:
            lines = (self.home.cluster / "postmaster.pid").read_bytes().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == self._postmaster.pid and lines[7].strip() == b"ready"

    def last_words(self) -> str:
        """The last line that PostgreSQL wrote to its log in this run."""
        return self._postmaster.last_words()

    async def exited(self) -> int:
        """Wait until the server has died; answers its exit status, or minus the signal that ended it."""
        return await self._postmaster.exited(WATCH_SECONDS)

    async def stop(self) -> None:
        """Shut PostgreSQL down; at once, as after a crash, if that does not come to an end."""
        await self._postmaster.end(STOP_SIGNALS)


def _all_settings(home: Home, settings: Mapping[str, str]) -> dict[str, str]:
    fixed = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(home.socket_dir),
        "unix_socket_permissions": "0700",
        "cluster_name": home.mark,
    }
    if refused := sorted(settings.keys() & fixed.keys()):
        raise TaskRpcError(
            "unavailable",
            f"the processes that share the embedded PostgreSQL rely on its {', '.join(refused)}: leave it out",
        )
    return {**SETTINGS, **settings, **fixed}


def _remove_stale_files(home: Home) -> None:
    """Remove what a killed server left behind: the numbers in it may belong to another process by now.

    Safe, because no process of the server is left (the lock) and none was started by hand.
    """
    socket = home.socket_dir / f".s.PGSQL.{PORT}"
    for path in (home.cluster / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
        path.unlink(missing_ok=True)


def _failure(what: str, home: Home, program: Child) -> TaskRpcError:
    said = program.last_words(lines=3)
    if "No space left on device" in said:
        return TaskRpcError("unavailable", f"{what}: the disk of {home.path} is full; free some space")
    return TaskRpcError("unavailable", f"{what}; it said: {said} (see {home.log})")
