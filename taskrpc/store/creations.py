"""Creating tasks as a flush: elements that share a statement, and limited ones in a transaction with their gates."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from taskrpc.core.model import Queue, Row
from taskrpc.errors import TaskRpcError
from taskrpc.store import gates
from taskrpc.store.batcher import Again
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.recovery import partly_done
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL


class NewTask(NamedTuple):
    """One task to be created. `params` and `requester` are JSON texts; `rev` is the revision it was checked against.

    `parent_id` is the workflow that starts it, `submission` a JSON text of what came with it over REST,
    `callback` one of where its outcome is posted to, `flow_part` what it is for the flow that starts it.
    """

    id: str
    name: str
    rev: int
    call_id: str
    priority: int
    params: str | None
    label: str | None = None
    requester: str | None = None
    execute_at: datetime | None = None
    gate_value: str | None = None
    gate: str | None = None
    queue_gate: str | None = None
    parent_id: str | None = None
    submission: str | None = None
    callback: str | None = None
    flow_part: str | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def size(self) -> int:
        return len(self.params or "")

    @property
    def is_limited(self) -> bool:
        return self.gate is not None or self.queue_gate is not None


class Created(NamedTuple):
    """The task's row after its creation."""

    row: Row


class Exists(NamedTuple):
    """The id was taken before; the row is the task that has it."""

    row: Row


class New(Protocol):
    """What is to be created: a task or a workflow."""

    @property
    def id(self) -> str: ...
    @property
    def call_id(self) -> str: ...


class OutdatedDefinition:
    """The definition has a newer revision than the one that the element was checked against."""


Outcome = Created | Exists | OutdatedDefinition | TaskRpcError | Again


def task_arrays(tasks: Sequence[NewTask]) -> list[object]:
    """The arguments of create. A column without any value is null: for an array of nulls the driver takes long."""
    columns: list[list[Any]] = [
        [t.id for t in tasks],
        [t.name for t in tasks],
        [t.rev for t in tasks],
        [t.label for t in tasks],
        [t.requester for t in tasks],
        [-t.priority for t in tasks],
        [t.execute_at for t in tasks],
        [t.gate_value for t in tasks],
        [t.gate for t in tasks],
        [t.queue_gate for t in tasks],
        [t.call_id for t in tasks],
        [t.params for t in tasks],
        [len((t.params or "").encode()) for t in tasks],
        [t.parent_id for t in tasks],
        [t.submission for t in tasks],
        [t.callback for t in tasks],
        [t.flow_part for t in tasks],
    ]
    nothing = [None] * len(tasks)
    return [None if column == nothing else column for column in columns]


@dataclass(frozen=True, slots=True)
class Inserted:
    """What a transaction has created, and refused because its queue is full. `tell` it once that is committed."""

    rows: Sequence[Record] = ()
    refused: Mapping[str, TaskRpcError] = field(default_factory=dict)
    admitted: Sequence[Queue] = ()

    def tell(self, signals: Signals) -> None:
        """Wakes whoever waits for the new tasks."""
        signals.queued(self.admitted)
        signals.changed(self.rows)


async def insert(connection: Connection, tasks: Sequence[NewTask]) -> Inserted:
    """Creates tasks inside the caller's transaction; what is neither in the rows nor refused is left out, as `create`
    does, or is there already."""
    if not tasks:
        return Inserted()
    needed = gates.needed((task.name, task.gate, task.queue_gate) for task in tasks)
    refused: dict[str, TaskRpcError] = {}
    new = tasks
    if needed:
        await connection.execute(SQL["hold_definitions"])
        locked = await gates.open_gates(connection, needed)
        taken = {row["id"] for row in await connection.fetch(SQL["tasks_by_id"], [t.id for t in tasks])}
        # An insert would wait for whoever is changing a task that is there, and who may wait for these gates.
        new = [t for t in tasks if t.id not in taken]
        refused = gates.refuse_over_limit([(t.id, t.queue_gate) for t in new], locked)
    rows = await connection.fetch(SQL["create"], *task_arrays([t for t in new if t.id not in refused]))
    booked = gates.changes({**row, "status_before": "done"} for row in rows)
    return Inserted(rows, refused, await gates.settle(connection, booked))


class Creations:
    """Creates tasks in sets, and signals after the commit which queues got tasks."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def run(self, tasks: Sequence[NewTask]) -> Sequence[Outcome]:
        """One outcome per task, in order; a flush of the batcher."""
        free = [task for task in tasks if not task.is_limited]
        limited = [task for task in tasks if task.is_limited]
        found: dict[str, Outcome] = {}
        if free:
            found |= self._created(await self._database.fetch("create", *task_arrays(free)))
        with partly_done() if found else nullcontext():
            if limited:
                found |= await self._create_limited(limited)
            missing = [task for task in tasks if task.id not in found]
            if missing:
                found |= await explain(self._database, missing)
        return [found[task.id] for task in tasks]

    def _created(self, rows: Sequence[Record]) -> dict[str, Outcome]:
        self._signals.changed(rows)
        return {row["id"]: Created(row) for row in rows}

    async def _create_limited(self, tasks: Sequence[NewTask]) -> dict[str, Outcome]:
        async with self._database.connection() as connection, connection.transaction():
            inserted = await insert(connection, tasks)
        inserted.tell(self._signals)
        return {**{row["id"]: Created(row) for row in inserted.rows}, **inserted.refused}


async def explain(database: Database, elements: Sequence[New]) -> dict[str, Outcome]:
    """Why elements were not created: their ids are taken (perhaps by this very call), or their definition changed."""
    rows = await database.fetch("tasks_by_id", [element.id for element in elements])
    existing = {row["id"]: row for row in rows}
    outcomes: dict[str, Outcome] = {}
    for element in elements:
        row = existing.get(element.id)
        if row is None:
            outcomes[element.id] = OutdatedDefinition()
        elif row["create_id"] == element.call_id:
            outcomes[element.id] = Created(row)
        else:
            outcomes[element.id] = Exists(row)
    if existing:  # who hears that it is there, relies on it
        await database.confirm()
    return outcomes
