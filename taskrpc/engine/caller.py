"""The one at the other end of a call that may wait: whether it is still there, and what to undo when it is not."""

import asyncio
from collections.abc import Awaitable, Callable

Undo = Callable[[], Awaitable[None]]


class Caller:
    """Made for each request; the engine hands it what must be taken back if the answer cannot be delivered.

    `hang_up` returns when the connection is closed; it is awaited only once somebody wants to know.
    """

    def __init__(self, hang_up: Callable[[], Awaitable[None]] | None = None) -> None:
        self._hang_up = hang_up
        self._gone: asyncio.Future[None] | None = None
        self._undo: list[Undo] = []

    def watch(self) -> "asyncio.Future[None]":
        """A future that is done once the caller is gone."""
        if self._gone is None:
            if self._hang_up is None:
                self._gone = asyncio.get_running_loop().create_future()
            else:
                self._gone = asyncio.ensure_future(self._hang_up())
        return self._gone

    @property
    def is_gone(self) -> bool:
        """Whether the caller is known to have left."""
        return self._gone is not None and self._gone.done() and not self._gone.cancelled()

    def if_undelivered(self, undo: Undo) -> None:
        """Has `undo` awaited in case the answer cannot be delivered."""
        self._undo.append(undo)

    async def take_back(self) -> None:
        """Undoes what was handed out for an answer that was not delivered."""
        while self._undo:
            await self._undo.pop()()

    def delivered(self) -> None:
        """The answer is on its way: nothing is taken back any more."""
        self._undo.clear()

    def close(self) -> None:
        """Ends the watching; the request is over."""
        if self._gone is not None:
            self._gone.cancel()
