"""Connections that are used over and over, and a turn for each of them.

asyncpg's pool would do, but makes two tasks and two timers for every statement: for a call that has nothing beside it
that was a quarter of what the server does. Two things are known of a connection here that the driver does not tell:
which backend serves it, since process ids mean nothing once another node has taken over; and whether PostgreSQL gave up
waiting for a standby in one of its commits.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from taskrpc.store.hosts import connect
from taskrpc.store.statements import SQL
from taskrpc.store.timestamptz import share_times

CONNECT_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 300.0
# Where PostgreSQL says that a commit waits no longer for its standby; its messages come in many languages.
_NO_LONGER_WAITING: Final = "SyncRepWaitForLSN"
_CUT: Final = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)


class Backend(NamedTuple):
    """The process of PostgreSQL that serves a connection, told apart from those of other nodes and other times."""

    process_id: int
    started: datetime


class LaneConnection(asyncpg.Connection):
    """A connection that knows its backend, since when it is in use (by the loop's clock, None while it is idle), and
    what PostgreSQL said when it gave up waiting for a standby."""

    __slots__ = ("backend", "given_up", "taken_at")

    backend: Backend
    given_up: str | None
    taken_at: float | None


def _hear(connection: Any, message: Any) -> None:
    if message.server_source_function == _NO_LONGER_WAITING:
        connection.given_up = message.message


class Lane:
    """At most `size` connections, made when they are needed; the one that was used last is used next, and those that
    were not needed for minutes are closed.

    `patience`: seconds after which a statement counts as hung.
    """

    def __init__(
        self, url: str, size: int, settings: Mapping[str, str], patience: float, *, reads_only: bool = False
    ) -> None:
        self._url = url
        self._settings = {"application_name": "taskrpc", **settings}
        self._patience = patience
        self._reads_only = reads_only
        self._turns = asyncio.Semaphore(size)
        self._all: set[LaneConnection] = set()
        self._idle: list[tuple[float, LaneConnection]] = []
        self._outages = 0
        self._clock = asyncio.get_running_loop().time

    async def wait_turn(self, seconds: float) -> None:
        """Waits until a connection may be taken, which has to be done then, or `end_turn` called. Raises TimeoutError.

        Who waits for a turn does not wait for the database.
        """
        if self._turns.locked():
            async with asyncio.timeout(seconds):
                await self._turns.acquire()
        else:
            await self._turns.acquire()

    def end_turn(self) -> None:
        """Lets the next one have its turn."""
        self._turns.release()

    async def take(self) -> LaneConnection:
        """A connection for the length of a turn; raises what asyncpg raises when none can be made."""
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.is_closed():
                break
            self._all.discard(connection)
        else:
            connection = await self._made()
            self._all.add(connection)
        connection.taken_at, connection.given_up = self._clock(), None
        return connection

    async def _made(self) -> LaneConnection:
        """A new connection, to a node that was asked for it after the last outage had ended."""
        while True:
            outages = self._outages
            try:
                connection = await self._connect()
            except _CUT:  # while it was made; that says nothing of the next one
                connection = await self._connect()
            if outages == self._outages:
                return connection
            connection.terminate()

    async def _connect(self) -> LaneConnection:
        connection: LaneConnection = await connect(
            self._url,
            connection_class=LaneConnection,
            timeout=CONNECT_SECONDS,
            command_timeout=self._patience,
            server_settings=self._settings,
        )
        try:
            connection.add_log_listener(_hear)
            await share_times(connection)
            (own,) = await connection.fetch(SQL["own_backend"])
            connection.backend = Backend(own["pid"], own["backend_start"])
            if self._reads_only:
                # Nothing is written by mistake. As a setting of the start this would make a primary look like a
                # standby to who looks for one that takes writes.
                await connection.execute("set default_transaction_read_only = on")
        except BaseException:
            connection.terminate()
            raise
        return connection

    def put_back(self, connection: LaneConnection) -> None:
        """Keeps a connection for the next turn, unless it is closed or in the midst of something."""
        connection.taken_at = None
        if connection.is_closed() or connection.is_in_transaction():
            self._drop(connection)
        else:
            self._idle.append((self._clock(), connection))
        while self._idle and self._idle[0][0] < self._clock() - _IDLE_SECONDS:
            self._drop(self._idle.pop(0)[1])

    def _drop(self, connection: LaneConnection) -> None:
        self._all.discard(connection)
        connection.terminate()

    def renew(self, since: float) -> None:
        """After an outage that began at `since`, by the loop's clock: no connection from before it is used again.

        They may be to a node that is frozen, cut off, or no primary any more. What has been under way for as long is
        cut off too; its sender finds out what became of it.
        """
        self._outages += 1
        for connection in list(self._all):
            if connection.taken_at is None or connection.taken_at <= since:
                self._drop(connection)

    def terminate(self) -> None:
        """Closes all connections at once, also those that are in use."""
        for connection in list(self._all):
            self._drop(connection)
