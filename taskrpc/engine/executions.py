"""Runs flows: works off the inboxes of executions, one step after the other, whatever server the events come from."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from taskrpc.core.ids import uuid7
from taskrpc.core.model import Row
from taskrpc.engine.execution_cache import Cached, Executions
from taskrpc.engine.execution_errands import ERRANDS, Errands
from taskrpc.engine.execution_steps import Steps
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Spawn
from taskrpc.store.database import CommitUnknown
from taskrpc.store.executions import ExecutionStore, OutdatedDefinitionError, StaleExecutionError
from taskrpc.store.recovery import CONFLICTS

log = logging.getLogger(__name__)

SLOW_POLL_SECONDS: Final = 0.5
# An execution stays with the server that has it in memory, unless that does not react for so long.
GIVE_WAY_SECONDS: Final = 0.2
MOST_FAILURES: Final = 3
_AT_ONCE: Final = 4
_SHORTEST_PAUSE_SECONDS: Final = 0.005
_LONGEST_PAUSE_SECONDS: Final = 0.5


class FlowLoop:
    """The loop of one server. `look` has to be called now and then: it finds what a server left behind that died."""

    def __init__(self, store: ExecutionStore, steps: Steps, errands: Errands, spawn: Spawn) -> None:
        self.server = uuid7()
        self.cache = Executions()
        self._store = store
        self._steps = steps
        self._errands = errands
        self._spawn = spawn
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._busy: dict[str, bool] = {}
        self._seen: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._hand_on: Callable[[Sequence[str]], None] = lambda ids: None

    def hand_on(self, hand_on: Callable[[Sequence[str]], None]) -> None:
        """Has the ids of executions passed on that another server has in memory."""
        self._hand_on = hand_on

    def told(self, ids: Sequence[str]) -> None:
        """Something was put into the inboxes of these executions."""
        for execution_id in ids:
            if execution_id in self._busy:
                self._busy[execution_id] = True
            else:
                self._busy[execution_id] = False
                self._spawn(self._attend(execution_id, None))

    def told_elsewhere(self, ids: Sequence[str]) -> None:
        """The same, through another server: it is this one's business if it has them in memory."""
        self.told([execution_id for execution_id in ids if execution_id in self.cache or execution_id in self._busy])

    async def look(self) -> float:
        """Works off what lay in an inbox the last time already: nobody was told of it."""
        seen = dict(await self._store.unattended())
        for execution_id, first in seen.items():
            if self._seen.get(execution_id) == first:
                self._insist(execution_id, first)
        self._seen = seen
        return SLOW_POLL_SECONDS

    def _insist(self, execution_id: str, first: int) -> None:
        """Takes an execution over if its first event is still this one."""
        if execution_id not in self._busy:
            self._busy[execution_id] = False
            self._spawn(self._attend(execution_id, first))

    async def _insist_later(self, execution_id: str, first: int) -> None:
        """The same, if the server that has it in memory does not react in time."""
        await asyncio.sleep(GIVE_WAY_SECONDS)
        if execution_id not in self._busy:
            self._busy[execution_id] = False
            await self._attend(execution_id, first)

    async def _attend(self, execution_id: str, first: int | None) -> None:
        try:
            while True:
                self._busy[execution_id] = False
                async with self._turns:
                    await self._work_off(execution_id, first)
                if not self._busy[execution_id]:
                    break
            self._failures.pop(execution_id, None)
        except (TaskRpcError, CommitUnknown) as error:
            log.info("execution %s has to wait: %s", execution_id, error)
        except Exception as error:
            await self._failed(execution_id, error)
        finally:
            del self._busy[execution_id]

    async def _failed(self, execution_id: str, error: Exception) -> None:
        """A defect: the step is tried again by `look`; an execution that cannot go on at all is ended, so that nobody
        waits for it for ever."""
        number = self._failures[execution_id] = self._failures.get(execution_id, 0) + 1
        log.error("execution %s cannot go on (%d of %d)", execution_id, number, MOST_FAILURES, exc_info=error)
        if number >= MOST_FAILURES:
            del self._failures[execution_id]
            await self._steps.break_off(execution_id, f"A defect of the server: {type(error).__name__}: {error}"[:500])

    async def _work_off(self, execution_id: str, first: int | None) -> None:
        cached, pause = self.cache.take(execution_id), _SHORTEST_PAUSE_SECONDS
        while rows := await self._store.inbox(execution_id):
            if cached is None:
                if await self._gives_way(execution_id, rows, first):
                    return
                cached = await self._steps.load(execution_id)
            if cached is None:
                return
            try:
                await self._carry_out(cached, rows)
                pause = _SHORTEST_PAUSE_SECONDS
            except (StaleExecutionError, *CONFLICTS):
                cached = None
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except OutdatedDefinitionError:
                continue
        if cached is not None and not cached.state.head.finished:
            self.cache.put(cached)

    async def _gives_way(self, execution_id: str, rows: Sequence[Row], first: int | None) -> bool:
        """Whether another server has the execution in memory, and may take the next step."""
        if first == rows[0]["seq"] or await self._store.server(execution_id) in (None, self.server):
            return False
        if first is None:
            self._hand_on([execution_id])
            self._spawn(self._insist_later(execution_id, rows[0]["seq"]))
        return True

    async def _carry_out(self, cached: Cached, rows: Sequence[Row]) -> None:
        """Takes a step; cancels what is not wanted any more, and does what is the server's to do."""
        if events := [row for row in rows if row["kind"] not in ERRANDS]:
            await self._steps.take(cached, events, self.server)
        errands = [row for row in rows if row["kind"] in ERRANDS]
        if errands:
            await self._errands.do(cached.id, errands)
