"""Connections that are used over and over, and a turn for each of them.

asyncpg's pool would do, but makes two tasks and two timers for every statement: for a call that has nothing beside it
that was a quarter of what the server does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

Connection = Any  # asyncpg.Connection

_IDLE_SECONDS: Final = 300.0


class Lane:
    """At most `size` connections, made by `connect` when they are needed; the one that was used last is used next, and
    those that were not needed for minutes are closed."""

    def __init__(self, size: int, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(size)
        self._all: set[Connection] = set()
        self._idle: list[tuple[float, Connection]] = []
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

    async def take(self) -> Connection:
        """A connection for the length of a turn; raises what `connect` raises."""
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._all.discard(connection)
        connection = await self._connect()
        self._all.add(connection)
        return connection

    def put_back(self, connection: Connection) -> None:
        """Keeps a connection for the next turn, unless it is closed or in the midst of something."""
        if connection.is_closed() or connection.is_in_transaction():
            self._drop(connection)
        else:
            self._idle.append((self._clock(), connection))
        while self._idle and self._idle[0][0] < self._clock() - _IDLE_SECONDS:
            self._drop(self._idle.pop(0)[1])

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.terminate()

    def terminate(self) -> None:
        """Closes all connections at once, also those that are in use."""
        while self._all:
            self._drop(next(iter(self._all)))
