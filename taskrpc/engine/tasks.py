"""Use cases of tasks: each is one element of one flush, and what goes around it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from taskrpc.core.definition import Definition
from taskrpc.core.ids import is_id, serial_id, uuid7
from taskrpc.core.lifecycle import Call, not_found
from taskrpc.core.model import Row, task_resource
from taskrpc.engine.caller import Caller
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.results import Results
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.creations import Created, Creations, Exists, NewTask, OutdatedDefinition
from taskrpc.store.database import Database
from taskrpc.store.signals import Signals
from taskrpc.store.transitions import FEEDBACK_BYTES, KINDS, Answer, Done, Obstacle, TransitionElement, Transitions

_MOST_CHECKS: Final = 5


def json_text(value: object) -> str | None:
    """A document as the database keeps it; None where nothing was given."""
    return None if value is None else orjson.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A task to be created. Without an `id` the server names it."""

    definition: str
    params: object = None
    id: str | None = None
    label: str | None = None
    execute_at: datetime | None = None
    priority: int | None = None
    requester: Mapping[str, object] | None = None


class Tasks:
    """Creates tasks and changes them, through one batcher per kind of call."""

    def __init__(
        self, database: Database, signals: Signals, spawn: Spawn, definitions: Definitions, results: Results
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._results = results
        self._creations: Batcher[NewTask, Created | Exists | OutdatedDefinition] = Batcher(
            "create", database, spawn, Creations(database, signals).run
        )
        self.transitions: dict[str, Batcher[TransitionElement, Answer]] = {
            name: Batcher(name, database, spawn, Transitions(kind, database, signals).run)
            for name, kind in KINDS.items()
        }

    async def create(self, request: TaskRequest) -> Row:
        """The row of the new task. Raises `task-already-exists`, `invalid-params`, `queue-limit-reached`, …"""
        call_id, task_id = serial_id(), request.id or uuid7()
        while True:
            known = self._definitions.newest
            try:
                task = _new_task(request, self._definitions.of_task(request.definition), task_id, call_id)
            except TaskRpcError:
                await self._definitions.look()
                if self._definitions.newest == known:
                    raise
                continue
            outcome = await self._creations.submit(task)
            if isinstance(outcome, Created):
                return outcome.row
            if isinstance(outcome, Exists):
                raise _already_exists(outcome.row)
            await self._definitions.reload()

    async def change(
        self,
        name: str,
        task_id: str,
        exec_id: str | None = None,
        call_id: str | None = None,
        values: tuple[object, ...] = (),
        size: int = 0,
    ) -> Done:
        """Carries out one call about one task; `values` are the further columns of its statement."""
        if not is_id(task_id):
            raise not_found(task_id)
        call = Call(name, task_id, call_id or serial_id(), call_id is not None, exec_id)
        answer = await self.transitions[name].submit(TransitionElement(call, values, size))
        if isinstance(answer, Obstacle):
            raise invalid_params("feedback", f"the list would grow beyond {FEEDBACK_BYTES} bytes")
        return answer

    async def finish(self, name: str, task_id: str, exec_id: str, call_id: str | None, document: object) -> Done:
        """`success` or `fail` with its result or error, which the task's own revision of its definition checks."""
        if not is_id(task_id):
            raise not_found(task_id)
        call = Call(name, task_id, call_id or serial_id(), call_id is not None, exec_id)
        checked = 0
        for _ in range(_MOST_CHECKS):
            text = json_text(document)
            element = TransitionElement(call, (text, checked), len(text or ""))
            answer = await self.transitions[name].submit(element)
            if isinstance(answer, Done):
                return answer
            checked = answer.row["rev"]
            document = await self._checked(name, checked, document)
        raise TaskRpcError("unavailable", f"The definition of task {task_id} changes all the time; try again")

    async def _checked(self, name: str, rev: int, document: object) -> object:
        definition = await self._definitions.by_rev(rev)
        if definition is None:
            return document
        if name == "success":
            schema, what = definition.result_schema, "result"
        else:
            schema, what = definition.error_schema, "error"
        return document if schema is None else schema.check(document, what)

    async def row(self, task_id: str) -> Row:
        """The task as it is; raises `task-not-found`."""
        rows = await self._database.read("tasks_by_id", [task_id]) if is_id(task_id) else []
        rows = [row for row in rows if row["kind"] != "workflow"]
        if not rows:
            raise not_found(task_id)
        return rows[0]  # type: ignore[no-any-return]

    async def result(self, task_id: str, seconds: float, caller: Caller) -> Row:
        """The task when it is done, or as it is after `seconds`."""
        if seconds <= 0:
            return await self.row(task_id)
        with self._results.expected(task_id) as ended:
            row = await self.row(task_id)
            if row["status"] == "done":
                return row
            await asyncio.wait((ended, caller.watch()), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return await self.row(task_id)


def _new_task(request: TaskRequest, definition: Definition, task_id: str, call_id: str) -> NewTask:
    params = request.params
    if definition.params_schema is not None:
        params = definition.params_schema.check({} if params is None else params, "params")
    view: dict[str, Any] = {
        "id": task_id,
        "label": request.label,
        "params": params,
        "requester": request.requester,
    }
    value = definition.gate_value(view)
    return NewTask(
        id=task_id,
        name=request.definition,
        rev=definition.rev,
        call_id=call_id,
        priority=definition.spec.priority if request.priority is None else request.priority,
        params=json_text(params),
        label=request.label,
        requester=json_text(request.requester),
        execute_at=request.execute_at,
        gate_value=value,
        gate=definition.gate(value),
        queue_gate=definition.queue_gate,
    )


def _already_exists(row: Row) -> TaskRpcError:
    return TaskRpcError("task-already-exists", f"There is a task {row['id']} already", {"resource": task_resource(row)})
