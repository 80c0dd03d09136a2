"""Connections to PostgreSQL: one pool for the queue, one for reading, and the knowledge of whether it can be reached.

A connection that breaks in the middle of a statement raises `CommitUnknown`: the statement may have taken effect, and
whoever sent it has to find out. While the database is away every call is refused at once, and a loop tries to reach it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.hosts import Connection, connect
from taskrpc.store.lane import CONNECT_SECONDS, Backend, Lane
from taskrpc.store.loan import LOST, CommitUnknown, Loan, unavailable
from taskrpc.store.statements import SQL

__all__ = ["AWAY", "READ_SECONDS", "CommitUnknown", "Connection", "Database", "Record", "unavailable"]

log = logging.getLogger(__name__)

Record = Any  # asyncpg.Record

_PROBE_SECONDS: Final = 0.2
_HUNG_SECONDS: Final = 15.0
_BACKEND_PAUSE_SECONDS: Final = 0.02
_COMPLAINT_SECONDS: Final = 10.0
READ_SECONDS: Final = 5.0

# The statements of the queue look rows up by keys that come in arrays of any length. Plans that were made for such
# arrays must not flip to scans as tables grow, so the planner is left no choice. A server that hangs amid a transaction
# holds up whoever needs the rows that it has locked: not for long.
_HOT_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "TimeZone": "UTC",
    "idle_in_transaction_session_timeout": "5s",
}
_READ_SETTINGS: Final = {
    "jit": "off",
    "TimeZone": "UTC",
    "statement_timeout": str(int(READ_SECONDS * 1000)),
}

# What tells that the database cannot be used at the moment, whatever it was that was tried.
AWAY: Final = (*LOST, asyncpg.CannotConnectNowError)


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
        self._hot = Lane(self.url, hot, _HOT_SETTINGS, _HUNG_SECONDS)
        self._readers = Lane(self.url, readers, _READ_SETTINGS, READ_SECONDS + 1, reads_only=True)
        self._hot.put_back(await self._hot.take())
        self._back.set()

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

    async def wait_backend_gone(self, backend: Backend, deadline: float) -> None:
        """Waits, until `deadline` of the loop's clock, for a lost connection's backend to end: it may be committing."""
        while asyncio.get_running_loop().time() < deadline:
            try:
                if not (await self.fetch("backend_lives", *backend))[0]["lives"]:
                    return
            except (CommitUnknown, TaskRpcError):
                await self.wait_available(max(deadline - asyncio.get_running_loop().time(), 0))
            await asyncio.sleep(_BACKEND_PAUSE_SECONDS)

    def _refused(self, error: BaseException) -> None:
        """No connection could be made: every call is refused at once until one can."""
        if self._back.is_set():
            log.warning("the database cannot be reached: %s", str(error) or type(error).__name__)
        self._back.clear()
        self._doubt.set()

    def _complain(self, error: BaseException) -> None:
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
            since = asyncio.get_running_loop().time()
            if self._back.is_set() and await self._probe():
                continue  # a connection broke, no more
            self._back.clear()
            while True:
                if await self._probe():
                    break
                await asyncio.sleep(_PROBE_SECONDS)
            self._return(since)

    def _return(self, since: float) -> None:
        """It can be reached again, perhaps on another node; it could not since `since`."""
        for lane in (self._hot, self._readers):
            if lane is not None:
                lane.renew(since)
        self._back.set()
        log.info("the database can be reached again")
        for react in self._on_return:
            react()

    async def _probe(self) -> bool:
        try:
            connection = await connect(self.url, timeout=CONNECT_SECONDS)
        except (*LOST, asyncpg.PostgresError):
            return False
        try:
            return bool(await connection.fetchval(SQL["ping"], timeout=CONNECT_SECONDS))
        except (*LOST, asyncpg.PostgresError):
            return False
        finally:
            connection.terminate()

    def _loan(self, lane: Lane | None) -> Loan:
        if lane is None or not self._back.is_set():
            raise unavailable("The database cannot be reached")
        return Loan(lane, self._refused, self._doubt.set, self._complain)

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection of the queue's pool. Raises `unavailable`, the block also CommitUnknown."""
        return self._loan(self._hot)

    async def fetch(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement of the queue in a transaction of its own. Raises as `connection` does."""
        async with self._loan(self._hot) as connection:
            rows: list[Record] = await connection.fetch(SQL[name], *args)
            return rows

    async def confirm(self) -> None:
        """Makes sure that everything that is committed stays so, whichever node is lost; raises as `connection` does.

        Who answers that something was done before, by a transaction that nobody has heard the end of, asks for this.
        """
        await self.fetch("confirm")

    async def read(self, name: str, *args: object) -> list[Record]:
        """Runs one named statement that only reads, within READ_SECONDS. Raises TaskRpcError `unavailable`."""
        try:
            async with self._loan(self._readers) as connection:
                rows: list[Record] = await connection.fetch(SQL[name], *args)
                return rows
        except CommitUnknown as error:
            raise unavailable("The connection to the database broke while reading") from error
        except asyncpg.QueryCanceledError as error:
            raise unavailable(f"The search took longer than {READ_SECONDS:.0f} s: narrow its filter") from error
