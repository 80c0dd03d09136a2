"""The one at the other end of a call that may wait: whether it is still there, and what to undo when it is not."""

import asyncio
from collections.abc import Awaitable, Callable

Undo = Callable[[], Awaitable[None]]


class Caller:
    """Made for each request; the engine hands it what must be taken back if the answer cannot be delivered."""

    __slots__ = ("_gone", "_undo", "is_gone")

    def __init__(self) -> None:
        self.is_gone = False
        self._gone: asyncio.Future[None] | None = None
        self._undo: list[Undo] = []

    def watch(self) -> "asyncio.Future[None]":
        """A future that is done once the caller is gone."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
            if self.is_gone:
                self._gone.set_result(None)
        return self._gone

    def leave(self) -> None:
        """The connection is closed: nothing can be delivered any more."""
        self.is_gone = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def if_undelivered(self, undo: Undo) -> None:
        """Has `undo` awaited in case the answer cannot be delivered."""
        self._undo.append(undo)

    async def take_back(self) -> None:
        """Undoes what was handed out for an answer that was not delivered."""
        while self._undo:
            await self._undo.pop()()
