"""Waiting for the end of tasks: callers stand in memory, and cost no connection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from taskrpc.core.model import Row
from taskrpc.engine.caller import Caller
from taskrpc.store.database import Database

SLOW_POLL_SECONDS: Final = 1.0


class Results:
    """Who waits for which task. `look` has to be called now and then: it finds what no hint told."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._waits = 0
        self._draining = False
        self._on_waiting: list[Callable[[], None]] = []

    def on_waiting(self, react: Callable[[], None]) -> None:
        """Has `react` called whenever somebody begins to wait."""
        self._on_waiting.append(react)

    @property
    def waiting(self) -> int:
        """How many callers wait, having seen that their task is not done."""
        return self._waits

    @contextlib.contextmanager
    def expected(self, task_id: str) -> Iterator["asyncio.Future[None]"]:
        """A future that is done when the task ends from now on, or when the server stops.

        Whoever looks at the task within the block misses no end: it was before the look, or is told.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(task_id, set()).add(future)
        if self._draining:
            future.set_result(None)
        for react in self._on_waiting:
            react()
        try:
            yield future
        finally:
            self._waiting[task_id].discard(future)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    async def awaited(self, task_id: str, look: Callable[[], Awaitable[Row]], seconds: float, caller: Caller) -> Row:
        """The row that `look` answers when the task is done, or as it is after `seconds`."""
        if seconds <= 0:
            return await look()
        with self.expected(task_id) as ended:
            row = await look()
            if row["status"] == "done":
                return row
            self._waits += 1
            try:
                with caller.patience(ended, seconds):
                    await ended
            finally:
                self._waits -= 1
        return await look()

    def ended(self, ids: Iterable[str]) -> None:
        """These tasks are done: whoever waits for them goes on."""
        for task_id in ids:
            for future in self._waiting.get(task_id, ()):
                if not future.done():
                    future.set_result(None)

    def drain(self) -> None:
        """Ends all waiting, now and from now on: the server stops."""
        self._draining = True
        self.ended(list(self._waiting))

    async def look(self) -> float:
        """Looks in the database which of the awaited tasks are done."""
        if self._waiting:
            rows = await self._database.fetch("find_done", list(self._waiting))
            self.ended(row["id"] for row in rows)
        return SLOW_POLL_SECONDS
