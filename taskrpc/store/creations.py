"""Creating tasks as a flush: elements that share a statement, and limited ones in a transaction with their gates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrpc.core.model import Row
from taskrpc.errors import TaskRpcError
from taskrpc.store import gates
from taskrpc.store.batcher import Again
from taskrpc.store.database import Database, Record
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL


@dataclass(frozen=True, slots=True)
class NewTask:
    """One task to be created. `params` and `requester` are JSON texts; `rev` is the revision it was checked against."""

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

    @property
    def key(self) -> str:
        return self.id

    @property
    def size(self) -> int:
        return len(self.params or "")

    @property
    def is_limited(self) -> bool:
        return self.gate is not None or self.queue_gate is not None


@dataclass(frozen=True, slots=True)
class Created:
    """The task's row after its creation."""

    row: Row


@dataclass(frozen=True, slots=True)
class Exists:
    """The id was taken before; the row is the task that has it."""

    row: Row


class OutdatedDefinition:
    """The definition has a newer revision than the one that the element was checked against."""


Outcome = Created | Exists | OutdatedDefinition | TaskRpcError | Again


def _arrays(tasks: Sequence[NewTask]) -> list[object]:
    return [
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
    ]


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
            found |= self._created(await self._database.fetch("create", *_arrays(free)))
        if limited:
            found |= await self._create_limited(limited)
        missing = [task for task in tasks if task.id not in found]
        if missing:
            found |= await self._explain(missing)
        return [found[task.id] for task in tasks]

    def _created(self, rows: Sequence[Record]) -> dict[str, Outcome]:
        self._signals.changed(rows)
        return {row["id"]: Created(row) for row in rows}

    async def _create_limited(self, tasks: Sequence[NewTask]) -> dict[str, Outcome]:
        needed = {task.gate: (task.name, False) for task in tasks if task.gate is not None}
        needed |= {task.queue_gate: (task.name, True) for task in tasks if task.queue_gate is not None}
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(SQL["hold_definitions"])
            locked = await gates.open_gates(connection, needed)
            taken = {row["id"] for row in await connection.fetch(SQL["tasks_by_id"], [t.id for t in tasks])}
            refused = gates.refuse_over_limit([(t.id, t.queue_gate) for t in tasks if t.id not in taken], locked)
            rows = await connection.fetch(SQL["create"], *_arrays([t for t in tasks if t.id not in refused]))
            booked = gates.changes({**row, "status_before": "done"} for row in rows)
            admitted = await gates.settle(connection, booked)
        self._signals.queued(admitted)
        return self._created(rows) | refused

    async def _explain(self, tasks: Sequence[NewTask]) -> dict[str, Outcome]:
        """Why tasks were not created: their ids are taken (perhaps by this very call), or their definition changed."""
        rows = await self._database.fetch("tasks_by_id", [task.id for task in tasks])
        existing = {row["id"]: row for row in rows}
        outcomes: dict[str, Outcome] = {}
        for task in tasks:
            row = existing.get(task.id)
            if row is None:
                outcomes[task.id] = OutdatedDefinition()
            elif row["create_id"] == task.call_id:
                outcomes[task.id] = Created(row)
            else:
                outcomes[task.id] = Exists(row)
        return outcomes
