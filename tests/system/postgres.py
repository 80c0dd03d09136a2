"""A PostgreSQL of the tests' own, to which everything may happen that happens to databases."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import asyncpg

from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.embedded.home import find_home
from taskrpc.store.embedded.processes import send_signal, server_processes
from tests.databases import connected
from tests.system.waiting import until

FAST: Final = signal.SIGINT
IMMEDIATE: Final = signal.SIGQUIT
KILL: Final = signal.SIGKILL


class Postgres:
    """Stopped or killed and started again it keeps its data and its URL."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._embedded = EmbeddedPostgres(data_dir, settings={"fsync": "off"})

    @property
    def url(self) -> str:
        return self._embedded.url

    async def start(self) -> None:
        """Starts it, for the first time or again; it takes connections when this returns."""
        await self._embedded.start()

    async def stop(self, number: signal.Signals = FAST) -> None:
        """Stops it in one of its own ways (FAST, IMMEDIATE), or kills its first process (KILL)."""
        os.kill(postmaster(self._data_dir), number)
        await self._embedded.stop()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing moves in it for the length of the block: connections stay, and nobody answers."""
        home = find_home(self._data_dir)
        assert home is not None
        os.kill(postmaster(self._data_dir), signal.SIGSTOP)  # from here on there are no new processes
        processes = server_processes(home)
        send_signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            send_signal(processes, signal.SIGCONT)


def postmaster(data_dir: Path) -> int:
    """The process id of the PostgreSQL in a data directory."""
    return int((data_dir / "postgres/cluster/postmaster.pid").read_bytes().split(b"\n", 1)[0])


async def cut_connections(url: str) -> int:
    """Ends all other connections to a database; answers how many there were."""
    async with connected(url) as connection:
        cut: int = await connection.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        return cut


_HOLD_COMMITS: Final = """
create or replace function taskrpc.test_hold() returns trigger language plpgsql as $$
begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
drop trigger if exists test_hold on taskrpc.task;
create constraint trigger test_hold after insert or update on taskrpc.task
deferrable initially deferred for each row execute function taskrpc.test_hold();
"""


class HeldCommits:
    """Transactions that change tasks come to a halt at the very end, when they commit, until `release`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def hold(self) -> None:
        await self._connection.execute(_HOLD_COMMITS)
        await self._connection.execute("select pg_advisory_lock(1)")

    async def held(self, count: int = 1) -> None:
        """Waits until so many transactions have come to their commit."""

        async def as_many() -> bool:
            waiting = (
                "select count(*) from pg_locks l join pg_database d on d.oid = l.database "
                "where l.locktype = 'advisory' and not l.granted and d.datname = current_database()"
            )
            return bool(await self._connection.fetchval(waiting) >= count)

        await until(as_many)

    async def release(self) -> None:
        """Lets them commit, now and from now on."""
        await self._connection.execute("select pg_advisory_unlock_all()")


@contextlib.asynccontextmanager
async def held_commits(url: str) -> AsyncIterator[HeldCommits]:
    """Commits of a database are held; they are released after the block at the latest."""
    async with connected(url) as connection:
        held = HeldCommits(connection)
        await held.hold()
        yield held
