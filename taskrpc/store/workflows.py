"""Creating workflows, and the ends of those that a transaction has locked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrpc.store import gates
from taskrpc.store.creations import Created, NewTask, Outcome, explain, task_arrays
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A task run of an execution as texts, see core/flow/records.py; `fixed`, `outputs`: None if they are as before."""

    n: int
    parent: int
    body: str
    fixed: str | None
    outputs: str | None

    @property
    def size(self) -> int:
        return len(self.body) + len(self.fixed or "") + len(self.outputs or "")


def run_arrays(runs: Sequence[RunRecord]) -> list[object]:
    """Runs as statements take them."""
    return [
        [run.n for run in runs],
        [run.parent for run in runs],
        [run.body for run in runs],
        [run.fixed for run in runs],
        [run.outputs for run in runs],
    ]


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """One workflow to be created. `decision_id` is the id of its first decision; the rest is as in NewTask.

    That of a flow has the `head` of its execution, a JSON text, and perhaps `runs` to begin with.
    """

    id: str
    decision_id: str
    name: str
    rev: int
    call_id: str
    priority: int
    params: str | None
    label: str | None = None
    requester: str | None = None
    execute_at: datetime | None = None
    parent_id: str | None = None
    submission: str | None = None
    callback: str | None = None
    flow_part: str | None = None
    head: str | None = None
    runs: tuple[RunRecord, ...] = ()

    @property
    def key(self) -> str:
        return self.id

    @property
    def size(self) -> int:
        return len(self.params or "") + len(self.head or "") + sum(run.size for run in self.runs)


def workflow_arrays(workflows: Sequence[NewWorkflow]) -> list[object]:
    """The arguments of create_workflows."""
    return [
        [w.id for w in workflows],
        [w.decision_id for w in workflows],
        [w.name for w in workflows],
        [w.rev for w in workflows],
        [w.label for w in workflows],
        [w.requester for w in workflows],
        [w.parent_id for w in workflows],
        [-w.priority for w in workflows],
        [w.execute_at for w in workflows],
        [w.call_id for w in workflows],
        [w.params for w in workflows],
        [len((w.params or "").encode()) for w in workflows],
        [w.submission for w in workflows],
        [w.callback for w in workflows],
        [w.head for w in workflows],
        [w.flow_part for w in workflows],
    ]


async def insert_workflows(connection: Connection, workflows: Sequence[NewWorkflow]) -> list[Record]:
    """Creates workflows inside the caller's transaction, but those that `create_workflows` leaves out.

    Answers their rows and those of their first decisions.
    """
    if not workflows:
        return []
    rows: list[Record] = await connection.fetch(SQL["create_workflows"], *workflow_arrays(workflows))
    created = {row["id"] for row in rows}
    for workflow in workflows:
        if workflow.runs and workflow.id in created:
            await connection.execute(SQL["add_runs"], workflow.id, *run_arrays(workflow.runs))
    return rows


async def start_activities(
    connection: Connection, tasks: Sequence[NewTask], workflows: Sequence[NewWorkflow]
) -> tuple[list[Record], dict[str, int]]:
    """Creates what a locked workflow starts, in the caller's transaction, but what is there or whose label is taken.

    Answers the rows and what they mean for their gates, which the caller settles.
    """
    await gates.open_gates(connection, gates.needed((task.name, task.gate, task.queue_gate) for task in tasks))
    rows = await connection.fetch(SQL["create"], *task_arrays(tasks)) if tasks else []
    booked = gates.changes({**row, "status_before": "done"} for row in rows)
    return [*rows, *await insert_workflows(connection, workflows)], booked


class WorkflowCreations:
    """Creates workflows in sets, and signals after the commit which queues got decisions."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def run(self, workflows: Sequence[NewWorkflow]) -> Sequence[Outcome]:
        """One outcome per workflow, in order; a flush of the batcher."""
        if any(workflow.runs for workflow in workflows):
            async with self._database.connection() as connection, connection.transaction():
                rows = await insert_workflows(connection, workflows)
        else:
            rows = await self._database.fetch("create_workflows", *workflow_arrays(workflows))
        self._signals.changed(rows)
        found: dict[str, Outcome] = {row["id"]: Created(row) for row in rows if row["kind"] == "workflow"}
        missing = [workflow for workflow in workflows if workflow.id not in found]
        if missing:
            found |= await explain(self._database, missing)
        return [found[workflow.id] for workflow in workflows]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a workflow ends. `result`, `error` and `reason` are JSON texts; `action` is what the log says happened."""

    id: str
    outcome: str
    action: str
    result: str | None = None
    error: str | None = None
    reason: str | None = None


async def end(connection: Connection, endings: Sequence[Ending]) -> list[Record]:
    """Ends workflows inside the caller's transaction, which has locked them; answers their rows.

    After the commit the rows belong into `Signals.changed`: parents get to know, and what is left open is swept.
    """
    if not endings:
        return []
    endings = sorted(endings, key=lambda ending: ending.id)
    rows: list[Record] = await connection.fetch(
        SQL["end_workflows"],
        [ending.id for ending in endings],
        [ending.outcome for ending in endings],
        [ending.result for ending in endings],
        [ending.error for ending in endings],
        [ending.reason for ending in endings],
        [ending.action for ending in endings],
    )
    return rows
