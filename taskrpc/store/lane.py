"""A pool of connections of one kind, with a turn for each, and what each connection is watched for while it is in use.

Two things are known of a connection that the driver does not tell: which backend serves it, since process ids mean
nothing once another node has taken over; and whether PostgreSQL gave up waiting for a standby in one of its commits.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from math import inf
from typing import Any, Final, NamedTuple, cast

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.hosts import Connection, connect
from taskrpc.store.statements import SQL

CONNECT_SECONDS: Final = 5.0
_TURN_SECONDS: Final = 5.0
# Where PostgreSQL says that a commit waits no longer for its standby; its messages come in many languages.
_NO_LONGER_WAITING: Final = "SyncRepWaitForLSN"


class Backend(NamedTuple):
    """The process of PostgreSQL that serves a connection, told apart from those of other nodes and other times."""

    process_id: int
    started: datetime


class CommitUnknown(Exception):
    """Nobody knows whether what was sent has been committed and will stay: it may have been, or may yet be.

    The connection broke while a statement was under way, and `backend` may still be about to commit; or the commit
    was done at the primary alone, and nothing is about to happen (`backend` is None).
    """

    def __init__(self, backend: Backend | None, message: str = "the connection to the database broke") -> None:
        super().__init__(message)
        self.backend = backend


def unavailable(reason: str) -> TaskRpcError:
    """`unavailable`: nothing was done, the call may be sent again."""
    return TaskRpcError("unavailable", f"{reason}; nothing was done, try again", {"retryAfter": 1})


class _Connection(asyncpg.Connection):
    """A connection that knows its backend, and when, by the loop's clock, it began to be made."""

    __slots__ = ("backend", "since")

    backend: Backend
    since: float


def backend_of(connection: Connection) -> Backend:
    """The backend of a connection of a lane."""
    return cast(Backend, connection.backend)


def terminate(connection: Connection) -> None:
    """Ends a connection without a word, whatever is under way on it."""
    with suppress(asyncpg.InterfaceError):  # one that is closed already has left the pool's proxy
        connection.terminate()


async def _keep(_: Connection) -> None:
    """Instead of the pool's reset: the queue's connections never leave anything behind."""


class Lane:
    """A pool, and a turn for each of its connections: who waits for a turn does not wait for the database.

    `patience`: seconds after which a statement counts as hung.
    """

    def __init__(
        self, url: str, size: int, settings: Mapping[str, str], patience: float, *, reads_only: bool = False
    ) -> None:
        self._turns = asyncio.Semaphore(size)
        self._in_use: dict[Connection, float] = {}
        self._valid_since = -inf
        self._reads_only = reads_only
        self._pool = asyncpg.create_pool(
            url,
            connect=cast(Any, self._connect),
            connection_class=_Connection,
            min_size=0,
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=patience,
            max_inactive_connection_lifetime=300,
            server_settings={"application_name": "taskrpc", **settings},
            reset=_keep,
        )

    async def open(self) -> None:
        """Makes the pool, without a connection."""
        await self._pool

    async def _connect(self, url: str, **options: Any) -> Connection:
        since = asyncio.get_running_loop().time()
        connection = await connect(url, **options)
        try:
            connection.since = since
            connection.backend = Backend(*await connection.fetchrow(SQL["own_backend"]))
            if self._reads_only:
                # Nothing is written by mistake. As a setting of the start this would make a primary look like a
                # standby to who looks for one that takes writes.
                await connection.execute("set default_transaction_read_only = on")
        except BaseException:  # also that nobody waits for it any more
            connection.terminate()
            raise
        return connection

    def close(self) -> None:
        """Ends all connections at once; nothing may be under way."""
        self._pool.terminate()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the turns; raises `unavailable` when none is free in time."""
        if self._turns.locked():
            try:
                async with asyncio.timeout(_TURN_SECONDS):
                    await self._turns.acquire()
            except TimeoutError:
                raise unavailable("This server has too much to do at the moment") from None
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def acquire(self) -> Connection:
        """A connection, which has to be given back; raises what asyncpg raises when none can be made."""
        while True:
            connection: Connection = await self._pool.acquire(timeout=CONNECT_SECONDS)
            if connection.since >= self._valid_since:
                break
            terminate(connection)
            await self._pool.release(connection)
        self._in_use[connection] = asyncio.get_running_loop().time()
        return connection

    async def release(self, connection: Connection) -> None:
        """Gives a connection back, in whatever state it is."""
        del self._in_use[connection]
        await self._pool.release(connection)

    def renew(self, since: float) -> None:
        """After an outage that began at `since`, by the loop's clock: no connection from before it is used again.

        They may be to a node that is frozen, cut off, or no primary any more. What has been under way for as long is
        cut off too; its sender finds out what became of it.
        """
        self._valid_since = since
        for connection, began in list(self._in_use.items()):
            if began < since:
                terminate(connection)


@contextmanager
def replicated(connection: Connection) -> Iterator[None]:
    """Raises CommitUnknown at the end of a block in which a commit was told to wait no longer for its standby.

    Such a commit is answered like any other. But if the primary is lost now, it never was.
    """
    given_up: list[str] = []

    def hear(_: Connection, message: Any) -> None:
        if message.server_source_function == _NO_LONGER_WAITING:
            given_up.append(message.message)

    connection.add_log_listener(hear)
    try:
        yield
    finally:
        with suppress(asyncpg.InterfaceError):  # it is closed, and has left the pool's proxy
            connection.remove_log_listener(hear)
    if given_up:
        raise CommitUnknown(None, given_up[0])
