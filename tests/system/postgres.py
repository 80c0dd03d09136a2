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

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self._data_dir = data_dir
        self._embedded = EmbeddedPostgres(data_dir, settings={"fsync": "off", **settings})

    @property
    def url(self) -> str:
        return self._embedded.url

    @property
    def socket(self) -> Path:
        """Where it takes connections."""
        home = find_home(self._data_dir)
        assert home is not None
        return home.socket_dir / ".s.PGSQL.5432"

    async def start(self) -> None:
        """Starts it, for the first time or again; it takes connections when this returns."""
        await self._embedded.start()

    async def revive(self, seconds: float = 5.0) -> None:
        """Gives it time to come back by itself, and starts it again if it does not."""

        async def answers() -> bool:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with connected(self.url):
                    return True
            return False

        try:
            await until(answers, seconds)
        except TimeoutError:
            await self._embedded.stop()
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
        return await _cut_others(connection)


async def _cut_others(connection: asyncpg.Connection) -> int:
    cut: int = await connection.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    return cut


_WAITING: Final = """
select count(distinct pid) from pg_locks l join pg_database d on d.oid = l.database
where not granted and locktype = $1 and d.datname = current_database()
"""
_HOLD_COMMITS: Final = """
create or replace function taskrpc.test_hold() returns trigger language plpgsql as $$
begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
drop trigger if exists test_hold on taskrpc.task;
create constraint trigger test_hold after insert or update on taskrpc.task
deferrable initially deferred for each row execute function taskrpc.test_hold();
select pg_advisory_lock(1);
"""


class Obstacle:
    """Something in the way of a database's transactions: they wait until it is gone."""

    def __init__(self, connection: asyncpg.Connection, kind: str) -> None:
        self._connection = connection
        self._kind = kind  # of lock

    async def reached(self, count: int = 1) -> None:
        """Waits until so many transactions have come to the obstacle."""

        async def as_many() -> bool:
            return bool(await self._connection.fetchval(_WAITING, self._kind) >= count)

        await until(as_many)

    async def cut_connections(self) -> int:
        """Ends all connections but its own; answers how many there were."""
        return await _cut_others(self._connection)


@contextlib.asynccontextmanager
async def commits_held(url: str) -> AsyncIterator[Obstacle]:
    """Transactions that change tasks come to a halt at the very end, when they commit, until the block ends."""
    async with connected(url) as connection:
        await connection.execute(_HOLD_COMMITS)
        yield Obstacle(connection, "advisory")


@contextlib.asynccontextmanager
async def tables_locked(url: str, *tables: str) -> AsyncIterator[Obstacle]:
    """Nobody reads or writes these tables until the block ends."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute(f"lock table {', '.join(tables)} in access exclusive mode")
        yield Obstacle(connection, "relation")
