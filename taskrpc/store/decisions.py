"""The success of decisions as a flush: what they say takes effect in the transaction that ends them, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taskrpc.core.lifecycle import Call
from taskrpc.core.model import Queue
from taskrpc.errors import TaskRpcError
from taskrpc.store import gates
from taskrpc.store.batcher import Again
from taskrpc.store.creations import NewTask
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.inboxes import turn_events
from taskrpc.store.recovery import partly_done
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL
from taskrpc.store.transitions import Done, confirm_repeats, judge_row
from taskrpc.store.workflows import Ending, NewWorkflow, end, start_activities

_NOTHING_LEFT: Final = (
    '{"type":"awf.workflow/nothing-left-to-do",'
    '"message":"A decision started nothing and left nothing to wait for, and did not end the workflow"}'
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The success of one decision. `result` is its JSON text, the rest is what that says."""

    call: Call
    workflow_id: str
    result: str | None
    tasks: tuple[NewTask, ...]
    workflows: tuple[NewWorkflow, ...]
    ending: Ending | None

    @property
    def key(self) -> str:
        return self.call.task_id

    @property
    def size(self) -> int:
        return 2 * len(self.result or "")

    @property
    def revisions(self) -> set[tuple[str, int]]:
        """The definitions that were read for it."""
        return {(task.name, task.rev) for task in self.tasks} | {(each.name, each.rev) for each in self.workflows}


class OutdatedDefinitions:
    """One of the definitions has a newer revision than the one that the decision was checked against."""


Outcome = Done | OutdatedDefinitions | TaskRpcError | Again


@dataclass(frozen=True, slots=True)
class _Effect:
    """What the decisions of one flush have changed."""

    decisions: list[Record]
    created: list[Record]
    ended: list[Record]
    admitted: list[Queue]


class Decisions:
    """Ends decisions well, many in one transaction."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def run(self, elements: Sequence[Decided]) -> Sequence[Outcome]:
        """One outcome per element, in order; a flush of the batcher."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(SQL["hold_definitions"])
            locked = await _lock(connection, elements)
            outdated = await _outdated(connection, locked)
            effect = await _carry_out(connection, [each for each in locked if each.key not in outdated])
        self._signals.queued(effect.admitted)
        self._signals.changed([*effect.created, *effect.ended])
        self._signals.changed(effect.decisions, attended=True)
        found: dict[str, Outcome] = {row["id"]: Done(row) for row in effect.decisions}
        found |= {key: OutdatedDefinitions() for key in outdated}
        with partly_done():
            return await self._with_reasons(elements, found)

    async def _with_reasons(self, elements: Sequence[Decided], found: dict[str, Outcome]) -> list[Outcome]:
        """Adds why the others changed nothing."""
        missing = [each.key for each in elements if each.key not in found]
        rows = await self._database.fetch("tasks_by_id", missing) if missing else []
        seen = {row["id"]: row for row in rows}
        outcomes = [found.get(each.key) or judge_row(each.call, seen.get(each.key)) for each in elements]
        await confirm_repeats(self._database, outcomes)
        return outcomes


async def _lock(connection: Connection, elements: Sequence[Decided]) -> list[Decided]:
    ids = [each.key for each in elements]
    rows = await connection.fetch(SQL["lock_decisions"], ids, [each.call.exec_id for each in elements])
    return [elements[row["n"] - 1] for row in rows]


async def _outdated(connection: Connection, elements: Sequence[Decided]) -> set[str]:
    """Which elements read a definition that is not the newest; it cannot change any more."""
    revisions = list({revision for each in elements for revision in each.revisions})
    if not revisions:
        return set()
    rows = await connection.fetch(SQL["find_outdated"], [name for name, _ in revisions], [rev for _, rev in revisions])
    outdated = {(row["name"], row["rev"]) for row in rows}
    return {each.key for each in elements if not outdated.isdisjoint(each.revisions)}


async def _carry_out(connection: Connection, elements: Sequence[Decided]) -> _Effect:
    """Starts what decisions say, ends them, and ends their workflows or goes on with their next events."""
    if not elements:
        return _Effect([], [], [], [])
    tasks = [task for each in elements for task in each.tasks]
    workflows = [workflow for each in elements for workflow in each.workflows]
    created, booked = await start_activities(connection, tasks, workflows)
    decisions = await connection.fetch(
        SQL["succeed_decisions"],
        [each.key for each in elements],
        [each.call.call_id for each in elements],
        [each.result for each in elements],
    )
    ended = await end(connection, [each.ending for each in elements if each.ending is not None])
    going = [each.workflow_id for each in elements if each.ending is None]
    following, failed = await turn_events(connection, going)
    alone = await connection.fetch(SQL["find_left_alone"], going) if going else []
    ended += failed + await end(connection, [_nothing_left(row["id"]) for row in alone])
    admitted = await gates.settle(connection, booked)
    return _Effect(decisions, [*created, *following], ended, admitted)


def _nothing_left(workflow_id: str) -> Ending:
    return Ending(workflow_id, "failed", "awf.workflow/nothing-left-to-do", reason=_NOTHING_LEFT)
