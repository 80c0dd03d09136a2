"""Connections to PostgreSQL: one pool for the queue, one for reading, and the knowledge of whether it can be reached.

A connection that breaks in the middle of a statement raises `ConnectionLost`: the statement may have taken effect, and
whoever sent it has to find out. While the database is away every call is refused at once, and a loop tries to reach it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.hosts import connect
from taskrpc.store.statements import SQL

log = logging.getLogger(__name__)

Connection = Any  # asyncpg.Connection, or the pool's proxy of one
Record = Any  # asyncpg.Record

_PROBE_SECONDS: Final = 0.2
_CONNECT_SECONDS: Final = 5.0
_TURN_SECONDS: Final = 5.0
_HUNG_SECONDS: Final = 15.0
_BACKEND_PAUSE_SECONDS: Final = 0.02
_COMPLAINT_SECONDS: Final = 10.0
READ_SECONDS: Final = 5.0

# The statements of the queue look rows up by keys that come in arrays of any length. Plans that were made for such
# arrays must not flip to scans as tables grow, so the planner is left no choice.
_HOT_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "TimeZone": "UTC",
    "idle_in_transaction_session_timeout": "30s",
}
_READ_SETTINGS: Final = {
    "jit": "off",
    "TimeZone": "UTC",
    "statement_timeout": str(int(READ_SECONDS * 1000)),
    "default_transaction_read_only": "on",
}

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
# What tells that the database cannot be used at the moment, whatever it was that was tried.
AWAY: Final = (*_LOST, asyncpg.CannotConnectNowError)


class ConnectionLost(Exception):
    """The connection broke while a statement was under way: it may have been committed."""

    def __init__(self, process_id: int | None) -> None:
        super().__init__("the connection to the database broke")
        self.process_id = process_id


def unavailable(reason: str) -> TaskRpcError:
    """`unavailable`: nothing was done, the call may be sent again."""
    return TaskRpcError("unavailable", f"{reason}; nothing was done, try again", {"retryAfter": 1})


def _terminate(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # one that is closed already has left the pool's proxy
        connection.terminate()


async def _keep(_: Connection) -> None:
    """Instead of the pool's reset: the queue's connections never leave anything behind."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """A pool, and a turn for each of its connections: who waits for a turn does not wait for the database."""

    pool: asyncpg.Pool
    turns: asyncio.Semaphore

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the turns; raises `unavailable` when none is free in time."""
        if self.turns.locked():
            try:
                async with asyncio.timeout(_TURN_SECONDS):
                    await self.turns.acquire()
            except TimeoutError:
                raise unavailable("This server has too much to do at the moment") from None
        else:
            await self.turns.acquire()
        try:
            yield
        finally:
            self.turns.release()


class Database:
    """The pools of one server. `watch` has to run as long as the database is used."""

    def __init__(self, url: str, *, connections: int = 10, readers: int = 3) -> None:
        self.url = url
        self._sizes = (connections, readers)
        self._back = asyncio.Event()
        self._doubt = asyncio.Event()
        self._on_return: list[Callable[[], None]] = []
        self._complained_at = -_COMPLAINT_SECONDS
        self._hot: _Lane | None = None
        self._readers: _Lane | None = None

    async def open(self) -> None:
        """Makes the pools and the first connection; raises what asyncpg raises when it cannot be made."""
        hot, readers = self._sizes
        self._hot = await self._lane(hot, _HOT_SETTINGS, _HUNG_SECONDS)
        self._readers = await self._lane(readers, _READ_SETTINGS, READ_SECONDS + 1)
        async with self._hot.pool.acquire(timeout=_CONNECT_SECONDS) as connection:
            await connection.fetchval("select 1")
        self._back.set()

    async def _lane(self, size: int, settings: dict[str, str], patience: float) -> _Lane:
        settings = {"application_name": "taskrpc", **settings}
        pool = await asyncpg.create_pool(
            self.url,
            connect=cast(Any, connect),
            min_size=0,
            max_size=size,
            timeout=_CONNECT_SECONDS,
            command_timeout=patience,
            max_inactive_connection_lifetime=300,
            server_settings=settings,
            reset=_keep,
        )
        return _Lane(pool, asyncio.Semaphore(size))

    async def close(self) -> None:
        """Ends all connections at once; nothing may be under way."""
        for lane in (self._hot, self._readers):
            if lane is not None:
                lane.pool.terminate()

    @property
    def is_available(self) -> bool:
        return self._back.is_set()

    def on_return(self, react: Callable[[], None]) -> None:
        """Has `react` called whenever the database can be reached again after it could not."""
        self._on_return.append(react)

    async def wait_available(self, seconds: float) -> bool:
        """Waits until the database can be reached; False when it was not in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._back.wait()
        except TimeoutError:
            return False
        return True

    async def wait_backend_gone(self, process_id: int, deadline: float) -> None:
        """Waits, until `deadline` of the loop's clock, for a lost connection's backend to end: it may be committing."""
        while asyncio.get_running_loop().time() < deadline:
            try:
                if not (await self.fetch("backend_lives", process_id))[0]["lives"]:
                    return
            except (ConnectionLost, TaskRpcError):
                await self.wait_available(max(deadline - asyncio.get_running_loop().time(), 0))
            await asyncio.sleep(_BACKEND_PAUSE_SECONDS)

    def _refused(self, error: BaseException) -> None:
        """No connection could be made: every call is refused at once until one can."""
        if self._back.is_set():
            log.warning("the database cannot be reached: %s", str(error) or type(error).__name__)
        self._back.clear()
        self._doubt.set()

    def _complain(self, error: asyncpg.PostgresError) -> None:
        """It can be reached and cannot work: said now and then, not for every call."""
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= _COMPLAINT_SECONDS:
            self._complained_at = now
            log.error("the database cannot work: %s", error)

    async def watch(self) -> None:
        """Runs for ever: when connections break, finds out whether the database is away and when it is back."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            if self._back.is_set() and await self._probe():
                continue  # a connection broke, no more
            self._back.clear()
            while True:
                if await self._probe():
                    break
                await asyncio.sleep(_PROBE_SECONDS)
            self._back.set()
            log.info("the database can be reached again")
            for react in self._on_return:
                react()

    async def _probe(self) -> bool:
        try:
            connection = await connect(self.url, timeout=_CONNECT_SECONDS)
        except (*_LOST, asyncpg.PostgresError):
            return False
        try:
            return bool(await connection.fetchval(SQL["ping"], timeout=_CONNECT_SECONDS))
        except (*_LOST, asyncpg.PostgresError):
            return False
        finally:
            connection.terminate()

    @asynccontextmanager
    async def _borrow(self, lane: _Lane | None) -> AsyncIterator[Connection]:
        if lane is None or not self._back.is_set():
            raise unavailable("The database cannot be reached")
        async with lane.turn(), self._connected(lane.pool) as connection:
            yield connection

    @asynccontextmanager
    async def _connected(self, pool: asyncpg.Pool) -> AsyncIterator[Connection]:
        try:
            connection = await pool.acquire(timeout=_CONNECT_SECONDS)
        except (asyncpg.PostgresError, *_LOST) as error:  # whatever the reason, nothing was sent
            self._refused(error)
            raise unavailable("The database cannot be reached") from error
        process_id = connection.get_server_pid()
        try:
            yield connection
        except asyncpg.ReadOnlySQLTransactionError as error:
            self._refused(error)
            raise unavailable("The database takes no writes") from error
        except asyncpg.InsufficientResourcesError as error:  # a full disk, no memory: the transaction was rolled back
            self._complain(error)
            raise unavailable(f"The database cannot work: {error}") from error
        except asyncio.CancelledError:
            _terminate(connection)  # else the pool waits for the end of the statement
            raise
        except _LOST as error:
            _terminate(connection)
            self._doubt.set()
            raise ConnectionLost(process_id) from error
        finally:
            await pool.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the queue's pool. Raises `unavailable` or ConnectionLost."""
        async with self._borrow(self._hot) as connection:
            yield connection

    async def fetch(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement of the queue in a transaction of its own. Raises as `connection` does."""
        async with self._borrow(self._hot) as connection:
            rows: list[Record] = await connection.fetch(SQL[name], *args)
            return rows

    async def read(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement that only reads, within READ_SECONDS. Raises TaskRpcError `unavailable`."""
        try:
            async with self._borrow(self._readers) as connection:
                rows: list[Record] = await connection.fetch(SQL[name], *args)
                return rows
        except ConnectionLost as error:
            raise unavailable("The connection to the database broke while reading") from error
        except asyncpg.QueryCanceledError as error:
            raise unavailable(f"The search took longer than {READ_SECONDS:.0f} s: narrow its filter") from error
