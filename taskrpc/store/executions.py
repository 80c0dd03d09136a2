"""Executions of flows in the database: read, and changed step by step, each step in one transaction.

A step was worked out without any lock. It takes effect only if the execution is still as it was read; who comes too
late reads it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from taskrpc.core.flow.durations import microseconds_of
from taskrpc.core.model import Queue, Row
from taskrpc.store import gates, slots
from taskrpc.store.creations import NewTask
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.flow_triggers import Advance, advance_triggers
from taskrpc.store.signals import Signals
from taskrpc.store.slots import Freed
from taskrpc.store.statements import SQL
from taskrpc.store.workflows import NewWorkflow, RunRecord, run_arrays, start_activities

MOST_EVENTS: Final = 500
MOST_INBOX_BYTES: Final = 16 * 2**20
MOST_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """An event that an execution puts into its own inbox."""

    kind: str
    subject: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """What an execution wants to be told, and when: microseconds since 1970."""

    run: int
    kind: str
    tag: int
    at: int


@dataclass(frozen=True, slots=True)
class FlowEnding:
    """How the workflow of an execution ends. `result`, `error`, `reason` are JSON texts."""

    outcome: str
    result: str | None
    error: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step has worked out for the execution `key`, which was in `version`, its workflow in `status`.

    `server` takes it. `state` is that of the execution where it has changed; `ending` a JSON text of what it ended
    with; `advances` what it means for triggers with preconditions; `freed` a slot that others wait for; `emptied` are
    queues of directories that begin anew.
    """

    key: int
    id: str
    version: int
    status: str
    server: str
    head: str
    gone: Sequence[int]
    runs: Sequence[RunRecord]
    taken: Sequence[int]
    emptied: Sequence[str] = ()
    told: Sequence[Told] = ()
    over: Sequence[int] = ()
    timers: Sequence[Timer] = ()
    log: Sequence[tuple[int, str]] = ()
    tasks: Sequence[NewTask] = ()
    workflows: Sequence[NewWorkflow] = ()
    advances: Sequence[Advance] = ()
    state: str | None = None
    ending: str | None = None
    ends: FlowEnding | None = None
    freed: Freed | None = None


class StaleExecutionError(Exception):
    """The execution is not any longer as it was read, or somebody holds it."""


class OutdatedDefinitionError(Exception):
    """The definition of a task that is to be started has a newer revision than was known."""


@dataclass(slots=True)
class _Effect:
    rows: list[Record] = field(default_factory=list)
    admitted: list[Queue] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    due_in: float | None = None


class ExecutionStore:
    """Reads and changes executions."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals
        self._listed_to = ""

    async def get(self, execution_id: str) -> Row | None:
        """An execution with its workflow: key, version, head, rev, status, …; None where there is none."""
        rows = await self._database.fetch("execution", execution_id)
        return rows[0] if rows else None

    async def runs(self, key: int, longest_outputs: int) -> list[Record]:
        """Its runs in the order of their numbers; longer outputs are left out, `size` says how long they are."""
        return await self._database.fetch("execution_runs", key, longest_outputs)

    async def outputs(self, execution_id: str, n: int) -> str | None:
        """The outputs of a run, as JSON text; None where there are none."""
        rows = await self._database.fetch("execution_outputs", execution_id, n)
        return rows[0]["outputs"] if rows else None

    async def server(self, execution_id: str) -> str | None:
        """Which server has taken the last step of an execution."""
        rows = await self._database.fetch("execution_server", execution_id)
        return rows[0]["server"] if rows else None

    async def inbox(self, execution_id: str) -> list[Record]:
        """The first events, with what they are about."""
        return await self._database.fetch("execution_inbox", execution_id, MOST_EVENTS, MOST_INBOX_BYTES)

    async def endings(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """What executions have ended with, those that have."""
        rows = await self._database.fetch("execution_endings", ids)
        return {row["id"]: orjson.loads(row["ending"]) for row in rows}

    async def tell_end_again(self, execution_id: str, number: int, subflow_id: str) -> None:
        """Answers an event that asks for a subflow's end: it is told once more, if it has come; else it will be."""
        await self._database.fetch("tell_end_again", execution_id, number, subflow_id)

    async def done_chore(self, execution_id: str, number: int, body: str) -> None:
        """Puts what became of a chore in the place of its event."""
        await self._database.fetch("done_chore", execution_id, number, body)

    async def forget_unwanted(self, execution_id: str, numbers: Sequence[int]) -> None:
        """Deletes events about what has been canceled."""
        await self._database.fetch("forget_unwanted", execution_id, numbers)

    async def unattended(self) -> list[tuple[str, int]]:
        """One page of executions with something in their inbox, each with the number of its first event."""
        rows = await self._database.fetch("list_execution_inboxes", self._listed_to, MOST_LISTED)
        self._listed_to = rows[-1]["id"] if len(rows) == MOST_LISTED else ""
        return [(row["id"], row["seq"]) for row in rows if row["is_execution"]]

    async def take_step(self, step: StepRecord) -> None:
        """Has a step take effect, all of it or nothing. Raises StaleExecutionError, OutdatedDefinitionError."""
        async with self._database.connection() as connection, connection.transaction():
            effect = await _take(connection, step)
        self._signals.queued(effect.admitted)
        self._signals.changed(effect.rows, attended=True)
        self._signals.told([*effect.woken, *effect.started])
        if effect.due_in is not None:
            self._signals.due(effect.due_in)

    async def break_off(self, row: Row, ending: str, ends: FlowEnding, freed: Freed) -> None:
        """Ends an execution without a step: what its inbox holds is forgotten, what it has open is not wanted any more.

        `row` is the execution as it was read. Raises StaleExecutionError.
        """
        async with self._database.connection() as connection, connection.transaction():
            if not await connection.fetch(SQL["break_execution"], row["key"], row["version"], ending):
                raise StaleExecutionError
            rows = await connection.fetch(
                SQL["end_execution"], row["id"], "FAILED", ends.outcome, ends.result, ends.error, ends.reason
            )
            await connection.execute(SQL["leave_unwanted"], row["id"], None)
            woken = await slots.free(connection, row["key"], freed)
        self._signals.changed(rows, attended=True)
        self._signals.told([row["id"], *woken])


async def _take(connection: Connection, step: StepRecord) -> _Effect:
    if step.tasks:
        await connection.execute(SQL["hold_definitions"])
    now = await connection.fetchval(SQL["advance_execution"], *_arguments(step))
    if now is None:
        raise StaleExecutionError
    effect = _Effect(due_in=_due_in(step, microseconds_of(now)))
    if step.ending is not None or step.emptied:
        await connection.execute(SQL["leave_unwanted"], step.id, None if step.ending is not None else step.emptied)
    workflows = [*step.workflows, *await advance_triggers(connection, step.advances, microseconds_of(now))]
    effect.started = [workflow.id for workflow in workflows]
    effect.rows, booked = await start_activities(connection, step.tasks, workflows)
    await _refuse_outdated(connection, step.tasks, effect.rows)
    effect.rows += await _show(connection, step)
    if step.freed is not None:
        effect.woken = await slots.free(connection, step.key, step.freed)
    effect.admitted = await gates.settle(connection, booked)
    return effect


def _due_in(step: StepRecord, now: int) -> float | None:
    """In how many seconds the first of its timers is due."""
    return (min(timer.at for timer in step.timers) - now) / 1_000_000 if step.timers else None


def _arguments(step: StepRecord) -> list[object]:
    return [
        step.key, step.version, step.status, step.server, step.head, step.ending, step.gone,
        *run_arrays(step.runs),
        step.taken,
        [each.kind for each in step.told], [each.subject for each in step.told], [each.body for each in step.told],
        step.over,
        [timer.run for timer in step.timers], [timer.kind for timer in step.timers],
        [timer.tag for timer in step.timers], [timer.at for timer in step.timers],
        [at for at, _ in step.log], [entry for _, entry in step.log],
    ]  # fmt: skip


async def _refuse_outdated(connection: Connection, tasks: Sequence[NewTask], rows: Sequence[Record]) -> None:
    """What was not created is there already, or its definition has changed since."""
    created = {row["id"] for row in rows}
    missing = [task.id for task in tasks if task.id not in created]
    if missing and len(await connection.fetch(SQL["tasks_by_id"], missing)) < len(missing):
        raise OutdatedDefinitionError


async def _show(connection: Connection, step: StepRecord) -> list[Record]:
    """Shows on the workflow what has become of the execution; one that is done already gets its last state."""
    if step.ends is not None and step.status != "done":
        ends = step.ends
        rows: list[Record] = await connection.fetch(
            SQL["end_execution"], step.id, step.state, ends.outcome, ends.result, ends.error, ends.reason
        )
        return rows
    if step.state is not None and (step.ends is not None or step.status != "done"):
        return list(await connection.fetch(SQL["enter_state"], step.id, step.state))
    return []
