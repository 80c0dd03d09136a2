"""Connections to PostgreSQL: one pool for the queue, one for reading, and the knowledge of whether it can be reached.

A connection that breaks in the middle of a statement raises `ConnectionLost`: the statement may have taken effect, and
whoever sent it has to find out. While the database is away every call is refused at once, and a loop tries to reach it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.hosts import connect
from taskrpc.store.lane import Lane
from taskrpc.store.statements import SQL

log = logging.getLogger(__name__)

Connection = Any  # asyncpg.Connection
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


class _Loan:
    """A connection of a lane for the length of a block; tells what breaks in the block from what is only refused.

    Raises `unavailable` when there is none, or nothing can be done with it, and ConnectionLost.
    """

    __slots__ = ("_connection", "_database", "_lane", "_process_id")

    def __init__(self, database: "Database", lane: Lane | None) -> None:
        self._database = database
        self._lane = lane

    async def __aenter__(self) -> Connection:
        lane = self._lane
        if lane is None or not self._database.is_available:
            raise unavailable("The database cannot be reached")
        try:
            await lane.wait_turn(_TURN_SECONDS)
        except TimeoutError:
            raise unavailable("This server has too much to do at the moment") from None
        try:
            self._connection = await lane.take()
        except BaseException as error:
            lane.end_turn()
            if isinstance(error, (asyncpg.PostgresError, *_LOST)):  # whatever the reason, nothing was sent
                self._database.refused(error)
                raise unavailable("The database cannot be reached") from error
            raise
        self._process_id: int = self._connection.get_server_pid()
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if error is not None:
                self._tell_apart(error)
        finally:
            assert self._lane is not None
            self._lane.put_back(self._connection)
            self._lane.end_turn()

    def _tell_apart(self, error: BaseException) -> None:
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            self._database.refused(error)
            raise unavailable("The database takes no writes") from error
        if isinstance(error, asyncpg.InsufficientResourcesError):  # a full disk, no memory: it was rolled back
            self._database.complain(error)
            raise unavailable(f"The database cannot work: {error}") from error
        if not isinstance(error, Exception):
            self._connection.terminate()  # cancelled: nobody waits for the end of the statement
        elif isinstance(error, _LOST):
            self._connection.terminate()
            self._database.doubt()
            raise ConnectionLost(self._process_id) from error


class Database:
    """The pools of one server. `watch` has to run as long as the database is used."""

    def __init__(self, url: str, *, connections: int = 10, readers: int = 3) -> None:
        self.url = url
        self._sizes = (connections, readers)
        self._back = asyncio.Event()
        self._doubt = asyncio.Event()
        self._on_return: list[Callable[[], None]] = []
        self._complained_at = -_COMPLAINT_SECONDS
        self._hot: Lane | None = None
        self._readers: Lane | None = None

    async def open(self) -> None:
        """Makes the pools and the first connection; raises what asyncpg raises when it cannot be made."""
        hot, readers = self._sizes
        self._hot = self._lane(hot, _HOT_SETTINGS, _HUNG_SECONDS)
        self._readers = self._lane(readers, _READ_SETTINGS, READ_SECONDS + 1)
        self._hot.put_back(await self._hot.take())
        self._back.set()

    def _lane(self, size: int, settings: dict[str, str], patience: float) -> Lane:
        settings = {"application_name": "taskrpc", **settings}
        return Lane(
            size,
            lambda: connect(self.url, timeout=_CONNECT_SECONDS, command_timeout=patience, server_settings=settings),
        )

    async def close(self) -> None:
        """Ends all connections at once; nothing may be under way."""
        for lane in (self._hot, self._readers):
            if lane is not None:
                lane.terminate()

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

    def refused(self, error: BaseException) -> None:
        """No connection could be made: every call is refused at once until one can."""
        if self._back.is_set():
            log.warning("the database cannot be reached: %s", str(error) or type(error).__name__)
        self._back.clear()
        self._doubt.set()

    def doubt(self) -> None:
        """A connection broke: it has to be found out whether the database is away."""
        self._doubt.set()

    def complain(self, error: asyncpg.PostgresError) -> None:
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

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection of the queue's pool. Raises `unavailable` or ConnectionLost."""
        return _Loan(self, self._hot)

    async def fetch(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement of the queue in a transaction of its own. Raises as `connection` does."""
        async with _Loan(self, self._hot) as connection:
            rows: list[Record] = await connection.fetch(SQL[name], *args)
            return rows

    async def read(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement that only reads, within READ_SECONDS. Raises TaskRpcError `unavailable`."""
        try:
            async with _Loan(self, self._readers) as connection:
                rows: list[Record] = await connection.fetch(SQL[name], *args)
                return rows
        except ConnectionLost as error:
            raise unavailable("The connection to the database broke while reading") from error
        except asyncpg.QueryCanceledError as error:
            raise unavailable(f"The search took longer than {READ_SECONDS:.0f} s: narrow its filter") from error
