"""The one at the other end of a call that may wait: whether it is still there, and what to undo when it is not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Undo = Callable[[], Awaitable[None]]


class Patience:
    """How long a caller waits for a future: as a block around the wait, it gives the future a default when the time is
    over, or the caller has gone. Thousands wait at a time, so it is small: no task, and no future of its own."""

    __slots__ = ("_caller", "_default", "_future", "_timer")

    def __init__(self, caller: "Caller", future: "asyncio.Future[Any]", seconds: float | None, default: object) -> None:
        self._caller = caller
        self._future = future
        self._default = default
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.end)

    def __enter__(self) -> None:
        self._caller.waits(self)

    def __exit__(self, *_: object) -> None:
        self._caller.waits_no_more(self)
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """The wait is over."""
        if not self._future.done():
            self._future.set_result(self._default)


class Caller:
    """Made for each request; the engine hands it what must be taken back if the answer cannot be delivered."""

    __slots__ = ("_undo", "_waits", "is_gone")

    def __init__(self) -> None:
        self.is_gone = False
        self._waits: tuple[Patience, ...] = ()
        self._undo: tuple[Undo, ...] = ()

    def patience(self, future: "asyncio.Future[Any]", seconds: float | None, default: object = None) -> Patience:
        """A block in which a future is awaited: it is given `default` after `seconds`, or when the caller has gone."""
        return Patience(self, future, seconds, default)

    def waits(self, patience: Patience) -> None:
        """Has a wait ended when the caller leaves."""
        self._waits = (*self._waits, patience)
        if self.is_gone:
            patience.end()

    def waits_no_more(self, patience: Patience) -> None:
        """The wait is over, for whatever reason."""
        self._waits = tuple(other for other in self._waits if other is not patience)

    def leave(self) -> None:
        """The connection is closed: nothing can be delivered any more."""
        self.is_gone = True
        for patience in self._waits:
            patience.end()

    def if_undelivered(self, undo: Undo) -> None:
        """Has `undo` awaited in case the answer cannot be delivered."""
        self._undo = (*self._undo, undo)

    async def take_back(self) -> None:
        """Undoes what was handed out for an answer that was not delivered."""
        while self._undo:
            *rest, undo = self._undo
            self._undo = tuple(rest)
            await undo()
