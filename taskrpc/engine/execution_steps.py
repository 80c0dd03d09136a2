"""The steps of executions: what has happened is worked off, without any lock, and then stored if nobody was faster."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.events import Began, Event, Started
from taskrpc.core.flow.advance.facts import MissingFactError
from taskrpc.core.flow.advance.state import ELSEWHERE, TERMINATED, Changes, Run, State, root_run
from taskrpc.core.flow.advance.step import BUDGET, Step, advance
from taskrpc.core.flow.inbox import event_of
from taskrpc.core.flow.records import document_text, head_text, read_head, read_run, run_text
from taskrpc.core.ids import serial_id
from taskrpc.core.model import Row
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_actions import Actions, Deeds, queue_of_directory
from taskrpc.engine.execution_cache import LONGEST_OUTPUTS, Cached, may_be_elsewhere, weight
from taskrpc.engine.execution_facts import Outside, Sources
from taskrpc.engine.execution_files import places_of
from taskrpc.engine.execution_starts import FAILED_CHECK
from taskrpc.engine.flows import LoadedFlow, flow_name
from taskrpc.store.executions import ExecutionStore, FlowEnding, OutdatedDefinitionError, StepRecord, Told
from taskrpc.store.flow_triggers import Advance
from taskrpc.store.slots import Freed, Slots
from taskrpc.store.workflows import NewWorkflow, RunRecord

# What a step of an execution starts elsewhere, and what it may: the execution as it was, and what the step changes.
Fired = Callable[[LoadedFlow, State, Changes], Awaitable[tuple[Sequence[NewWorkflow], Sequence[Advance]]]]

# A step that has to ask is made anew from its beginning each time: it is a short one.
_BUDGET_OF_ASKING: Final = 20
# The end of everything, and of the executor of a directory: what is told besides may be about what is over then.
_FIRST: Final = ("ended", "task-lost")


class Steps:
    """Reads executions and takes their steps."""

    def __init__(self, store: ExecutionStore, slots: Slots, sources: Sources, definitions: Definitions) -> None:
        self._store = store
        self._slots = slots
        self._sources = sources
        self._flows = sources.flows
        self._definitions = definitions
        self._fired: Fired = _nothing

    def on_state(self, fired: Fired) -> None:
        """Has `fired` asked before each step is stored which executions of other flows it starts."""
        self._fired = fired

    async def load(self, execution_id: str, longest_outputs: int = LONGEST_OUTPUTS) -> Cached | None:
        """An execution as it is in the database; None where there is none. Longer outputs of leaves are left there."""
        row = await self._store.get(execution_id)
        if row is None:
            return None
        loaded = await self._flows.of_rev(row["rev"])
        assert loaded is not None, row
        rows = await self._store.runs(row["key"], longest_outputs)
        runs = [read_run(each["n"], each["parent"], each["body"], each["fixed"], each["outputs"]) for each in rows]
        await self._complete(execution_id, runs, rows)
        head = read_head(row["head"])
        state = State(head, runs or [root_run(head.created)])
        size = weight(row["head"], rows)
        return Cached(row["key"], row["id"], row["version"], row["status"], loaded, state, size)

    async def _complete(self, execution_id: str, runs: Sequence[Run], rows: Sequence[Row]) -> None:
        """Marks outputs that were left out, and reads those that steps need at any time."""
        for run, row in zip(runs, rows, strict=True):
            if row["size"] is None or row["outputs"] is not None:
                continue
            if may_be_elsewhere(run):
                run.outputs = ELSEWHERE
            else:
                text = await self._store.outputs(execution_id, run.n)
                run.outputs = None if text is None else orjson.loads(text)

    def outside(self, cached: Cached) -> Outside:
        """What can be known around an execution."""
        return Outside(self._sources, cached.id, cached.templates)

    async def break_off(self, execution_id: str, problem: str) -> None:
        """Ends an execution that cannot go on: it has failed, and what it has open is canceled."""
        row = await self._store.get(execution_id)
        if row is None:
            return
        newest = await self._flows.load(row["name"])
        concurrency = None if newest is None else newest.flow.concurrency
        freed = Freed(row["name"], None if concurrency is None else concurrency.limit)
        reason = document_text({"type": "awf.workflow/internal-error", "message": problem})
        ending = document_text({"state": "FAILED", "problem": problem})
        await self._store.break_off(row, ending, FlowEnding("failed", None, reason, reason), freed)

    async def take(self, cached: Cached, rows: Sequence[Row], server: str) -> None:
        """Takes one step on this server: these events are worked off, or as many of them as a step has room for.

        Raises StaleExecutionError if the execution is not as it is in memory, OutdatedDefinitionError.
        """
        told = await self._admitted(cached, [(row, _heard(cached, row)) for row in rows])
        events = [event for _, event in told if event is not None]
        outside = self.outside(cached)
        step = await self._advance(cached, events, outside)
        places = await places_of(self._sources.files, cached, step)
        deeds = Actions(cached, step, outside, self._definitions, places, serial_id()).deeds
        fired, deeds.advances = await self._fired(cached.loaded, cached.state, step.changes)
        deeds.workflows += fired
        record = await self._record(cached, step, deeds, told, server)
        try:
            await self._store.take_step(record)
        except OutdatedDefinitionError:
            await self._definitions.reload()
            raise
        if record.ends is not None:
            cached.status = "done"
        cached.templates |= outside.templates
        cached.apply(step.changes, record.runs)

    async def _advance(self, cached: Cached, events: Sequence[Event], outside: Outside) -> Step:
        budget = BUDGET
        while True:
            try:
                return await asyncio.to_thread(advance, cached.loaded.flow, cached.state, events, outside.facts, budget)
            except MissingFactError as missing:
                budget = _BUDGET_OF_ASKING
                await outside.learn(missing.key)

    # -- slots --------------------

    async def _admitted(
        self, cached: Cached, told: Sequence[tuple[Row, Event | None]]
    ) -> list[tuple[Row, Event | None]]:
        """The events with what `concurrency` says about those that begin something; what ends it comes first."""
        found = [
            (row, await self._admit(cached, row, event))
            if row["kind"] in ("workflow-init", "restarted")
            else (row, event)
            for row, event in told
        ]
        return sorted(found, key=lambda each: each[0]["kind"] not in _FIRST)

    async def _admit(self, cached: Cached, row: Row, event: Event | None) -> Event | None:
        if FAILED_CHECK in cached.state.head.labels and isinstance(event, Started):
            return Started(event.at, "FAIL")
        concurrency = cached.loaded.flow.concurrency
        if concurrency is None:
            return event
        again = row["kind"] == "restarted"
        waits = again or concurrency.behavior == "QUEUE"
        has_slot = await self._slots.take(
            cached.key, cached.id, _name(cached), concurrency.limit, "restarted" if again else "admitted", waits=waits
        )
        if has_slot:
            return event
        return None if event is None or again else Started(event.at, concurrency.behavior)

    async def _freed(self, cached: Cached, deeds: Deeds) -> Freed | None:
        if not deeds.finished or cached.loaded.flow.concurrency is None:
            return None
        newest = await self._flows.load(_name(cached)) or cached.loaded
        concurrency = newest.flow.concurrency
        return Freed(_name(cached), None if concurrency is None else concurrency.limit)

    # -- what is stored --------------------

    async def _record(
        self, cached: Cached, step: Step, deeds: Deeds, told: Sequence[tuple[Row, Event | None]], server: str
    ) -> StepRecord:
        changes, taken = step.changes, _taken(told, step.taken)
        more = [Told("continue", cached.id)] if step.more else []
        return StepRecord(
            key=cached.key,
            id=cached.id,
            version=cached.version,
            status=cached.status,
            server=server,
            head=head_text(changes.head),
            gone=changes.gone,
            runs=[_run_record(cached.state, run) for run in changes.runs.values()],
            taken=taken,
            emptied=_emptied(cached, told, taken),
            told=[*deeds.told, *more],
            over=[*changes.gone, *(run.n for run in changes.runs.values() if run.state in TERMINATED)],
            timers=deeds.timers,
            log=deeds.log,
            tasks=deeds.tasks,
            workflows=deeds.workflows,
            advances=deeds.advances,
            state=changes.head.state if changes.head.state != cached.state.head.state or deeds.ends else None,
            ending=deeds.ending,
            ends=deeds.ends,
            freed=await self._freed(cached, deeds),
        )


async def _nothing(
    source: LoadedFlow, state: State, changes: Changes
) -> tuple[Sequence[NewWorkflow], Sequence[Advance]]:
    return [], []


def _name(cached: Cached) -> str:
    flow = cached.loaded.flow
    return flow_name(flow.namespace, flow.id)


def _heard(cached: Cached, row: Row) -> Event | None:
    """The event of a row. A directory began anew when its executor was lost: another's start changes nothing."""
    event, runs = event_of(row), cached.state.runs
    again = isinstance(event, Began) and event.run in runs and runs[event.run].state == "RUNNING"
    return None if again and row["kind"] == "task-begun" else event


def _taken(told: Sequence[tuple[Row, Event | None]], number: int) -> list[int]:
    """The numbers of the events that were taken; what is nothing to the execution is taken with those around it."""
    taken = []
    for row, event in told:
        if event is not None:
            if number == 0:
                break
            number -= 1
        taken.append(row["seq"])
    return taken


def _emptied(cached: Cached, told: Sequence[tuple[Row, Event | None]], taken: Sequence[int]) -> list[str]:
    """The queues of the directories whose executors were lost: what they hold is of the former times."""
    lost = [event for row, event in told if row["kind"] == "task-lost" and row["seq"] in taken]
    return [queue_of_directory(cached.id, event.run) for event in lost if isinstance(event, Began)]


def _run_record(before: State, run: Run) -> RunRecord:
    """What is to be written of a run: `fixed` and `outputs` only if they are others than before."""
    old = before.runs.get(run.n)
    fixed, outputs = ({}, None) if old is None else (old.fixed, old.outputs)
    return RunRecord(run.n, run.parent, run_text(run), _changed(run.fixed, fixed), _changed(run.outputs, outputs))


def _changed(value: Any, before: Any) -> str | None:
    return None if value is before or (not value and value == before) else document_text(value)
