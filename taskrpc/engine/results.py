"""Waiting for the end of tasks: callers stand in memory, and cost no connection."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from taskrpc.engine.caller import Caller
from taskrpc.store.database import Database

SLOW_POLL_SECONDS: Final = 1.0


class Results:
    """Who waits for which task. `look` has to be called now and then: it finds what no hint told."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._draining = False
        self._on_waiting: list[Callable[[], None]] = []

    def on_waiting(self, react: Callable[[], None]) -> None:
        """Has `react` called whenever somebody begins to wait."""
        self._on_waiting.append(react)

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return sum(len(futures) for futures in self._waiting.values())

    async def wait(self, task_id: str, seconds: float, caller: Caller) -> None:
        """Returns when the task may be done, the time is over, the caller is gone, or the server stops."""
        if self._draining:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(task_id, set()).add(future)
        for react in self._on_waiting:
            react()
        try:
            await asyncio.wait((future, caller.watch()), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting = self._waiting.get(task_id, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(task_id, None)

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
