"""One PostgreSQL for all taskrpc processes of a machine that name the same data directory."""

import asyncio
import contextlib
import errno
import logging
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.embedded.binaries import Installation, find_installation, runnable_by
from taskrpc.store.embedded.home import (
    DATABASE,
    OWNER_LOCK,
    SUPERUSER,
    Home,
    create_data_dir,
    find_home,
    prepare_home,
)
from taskrpc.store.embedded.lock import FileLock
from taskrpc.store.embedded.server import Server, await_former_server, cluster_major, create_cluster

logger: Final = logging.getLogger(__name__)

SYSTEM_DIR: Final = Path("/var/lib/taskrpc")
CONNECT_SECONDS: Final = 10.0
JOIN_SECONDS: Final = 60.0
JOIN_POLL_SECONDS: Final = 0.05
OWNER_POLL_SECONDS: Final = 0.5
STEADY_SECONDS: Final = 10.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
# What an attempt to connect may raise; the last one is a connection lost half-way.
REFUSALS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class EmbeddedPostgres:
    """One PostgreSQL per data directory, shared by all taskrpc processes of the machine that name it.

    The process that holds the lock of the directory is the owner: PostgreSQL is its child and ends with it.
    The others are clients. When the owner stops or dies, one of them becomes the owner and starts PostgreSQL
    again under the same URL: connections break and are made anew, and nothing that was committed is lost.

    `data_dir` is made if it is not there. `binaries` is a directory of PostgreSQL's programs, found by itself
    if not given. `settings` are settings of PostgreSQL that replace ours. `system_dir` is used by root only,
    for what the unprivileged account of the server cannot reach elsewhere: the database of a data directory
    below /root, copies of the programs. Start and supervise it in the main thread: PostgreSQL ends with the
    thread that started it. Errors are `unavailable`, in a sentence that says what to do.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        binaries: Path | None = None,
        settings: Mapping[str, str] = {},
        system_dir: Path = SYSTEM_DIR,
    ) -> None:
        self._data_dir = data_dir.expanduser().resolve()
        self._binaries = binaries.expanduser().resolve() if binaries else None
        self._settings = dict(settings)
        self._system_dir = system_dir
        self._owner_lock = FileLock(self._data_dir / OWNER_LOCK)
        self._server: Server | None = None
        self._url: str | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """The connection URL for asyncpg, the same whoever owns the server; `start` makes it known."""
        if self._url is None:
            raise RuntimeError("the embedded PostgreSQL has not been started")
        return self._url

    @property
    def is_owner(self) -> bool:
        """Whether PostgreSQL is a child of this process."""
        return self._server is not None

    async def start(self) -> str:
        """Become the owner and bring PostgreSQL up, or join the owner's; answers the connection URL.

        The first start makes the database. Raises `unavailable`.
        """
        if sys.platform != "linux":
            raise TaskRpcError("unavailable", "the embedded PostgreSQL runs on Linux only: give --database-url")
        self._stopping = False
        with _explained(self._data_dir):
            create_data_dir(self._data_dir)
            if await self._join():
                logger.info("joined the PostgreSQL of another process in %s", self._data_dir)
            else:
                await self._become_owner()
        return self.url

    async def supervise(self) -> None:
        """Keep PostgreSQL running until cancelled or stopped: restart it, take it over from a lost owner.

        Errors are logged and the next try is made a little later, by whichever process comes first.
        """
        pause = 0.0
        while not self._stopping:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await self._needed()
                if not self._stopping:
                    pause = 0.0 if time.monotonic() - began > STEADY_SECONDS else _longer(pause)
                    await self._become_owner()
            except Exception as error:
                pause = _longer(pause)
                unknown = not isinstance(error, (TaskRpcError, *REFUSALS))
                message = "no PostgreSQL in %s, next try in %.1f s: %s"
                logger.error(message, self._data_dir, pause, error, exc_info=unknown)
        # What came to be while `stop` did its work.
        await self._give_up()

    async def stop(self) -> None:
        """As the owner shut PostgreSQL down and let another process have it; as a client do nothing.

        Cancel `supervise` first: while it is bringing PostgreSQL up, only that stops it at once.
        """
        self._stopping = True
        await self._give_up()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _join(self) -> bool:
        """Wait until the owner's server answers (True), or there is no owner and we have its lock (False)."""
        deadline = time.monotonic() + JOIN_SECONDS
        while not self._owner_lock.try_acquire():
            home = find_home(self._data_dir)
            if home is not None and await _answers(home):
                self._url = home.url()
                return True
            if time.monotonic() > deadline:
                raise TaskRpcError(
                    "unavailable",
                    f"the PostgreSQL that another process runs in {self._data_dir} has not answered for "
                    f"{JOIN_SECONDS:.0f} s: see {self._data_dir}/postgres.log and the log of that process",
                )
            await asyncio.sleep(JOIN_POLL_SECONDS)
        return False

    async def _needed(self) -> None:
        """Wait until a server has to be started: ours has died, or the owner is gone and we have its lock."""
        if self._server is not None:
            status = await self._server.exited()
            if not self._stopping:
                said = self._server.last_words()
                how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
                logger.error("PostgreSQL %s, starting it again; it last said: %s", how, said)
            return
        await self._owner_lock.acquire(math.inf, OWNER_POLL_SECONDS)
        logger.warning("the owner of the PostgreSQL in %s is gone: taking over", self._data_dir)

    async def _become_owner(self) -> None:
        """Holding the owner's lock, bring PostgreSQL up, whatever the last one left; or let the lock go."""
        began = time.monotonic()
        server_lock = FileLock(self._data_dir / "server.lock")
        try:
            home = prepare_home(self._data_dir, self._system_dir)
            installation = await asyncio.to_thread(self._installation, home)
            await await_former_server(home, server_lock)
            if cluster_major(home) is None:
                await create_cluster(home, installation, self._settings, server_lock)
            self._server = await Server.start(home, installation, self._settings, server_lock)
            await _ensure_database(home)
        except BaseException:
            await self._give_up()
            raise
        finally:
            # From here on the server's own processes hold it.
            server_lock.release()
        self._url = home.url()
        took = time.monotonic() - began
        logger.info("PostgreSQL %d runs in %s, after %.2f s", installation.major, home.path, took)

    def _installation(self, home: Home) -> Installation:
        found = find_installation(self._binaries, cluster_major(home))
        return runnable_by(found, home.account, self._system_dir)

    async def _give_up(self) -> None:
        server, self._server = self._server, None
        try:
            if server is not None:
                await server.stop()
        finally:
            self._owner_lock.release()


async def _answers(home: Home) -> bool:
    """Whether the server takes connections to the database; it does not while it starts or recovers."""
    home.secure_socket_dir()
    try:
        connection = await asyncpg.connect(home.url(), timeout=CONNECT_SECONDS)
        await connection.close()
    except REFUSALS:
        return False
    return True


async def _ensure_database(home: Home) -> None:
    connection = await asyncpg.connect(home.url(SUPERUSER), timeout=CONNECT_SECONDS)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
            await connection.execute(f"create database {DATABASE}")
    finally:
        await connection.close()


def _longer(pause: float) -> float:
    return min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)


@contextlib.contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    """Turn what the system or PostgreSQL refused into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space",
            errno.EROFS: "name a data directory that can be written, or give --database-url",
            errno.EACCES: "name a data directory that this user can write, or give --database-url",
            errno.EPERM: "start taskrpc as an unprivileged user, or give --database-url",
        }.get(error.errno or 0, "name another data directory, or give --database-url")
        raise TaskRpcError("unavailable", f"no PostgreSQL in {data_dir}: {error}; {advice}") from error
    except REFUSALS as error:
        raise TaskRpcError("unavailable", f"no PostgreSQL in {data_dir}: {error}") from error
