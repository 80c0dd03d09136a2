"""Use cases of tasks: each is one element of one flush, and what goes around it."""

from typing import Final

from taskrpc.core.ids import is_id, serial_id
from taskrpc.core.lifecycle import Call, not_found
from taskrpc.core.model import Row
from taskrpc.engine.caller import Caller
from taskrpc.engine.decisions import Decisions
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.requests import TaskRequest, already_exists, json_text, new_task
from taskrpc.engine.results import Results
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.creations import Created, Creations, Exists, NewTask, OutdatedDefinition
from taskrpc.store.database import Database
from taskrpc.store.signals import Signals
from taskrpc.store.transitions import FEEDBACK_BYTES, KINDS, Answer, Done, Obstacle, TransitionElement, Transitions

_MOST_CHECKS: Final = 5


class Tasks:
    """Creates tasks and changes them, through one batcher per kind of call."""

    def __init__(
        self,
        database: Database,
        signals: Signals,
        spawn: Spawn,
        definitions: Definitions,
        decisions: Decisions,
        results: Results,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._decisions = decisions
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
        call_id, submitted = serial_id(), request.submission is not None
        while True:
            known = self._definitions.newest
            try:
                definition = self._definitions.of_task(request.definition, submitted=submitted)
                task = new_task(request, definition, call_id)
            except TaskRpcError:
                if not await self._definitions.changed_since(known):
                    raise
                continue
            outcome = await self._creations.submit(task)
            if isinstance(outcome, Created):
                return outcome.row
            if isinstance(outcome, Exists):
                raise already_exists(outcome.row)
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
            raise _hindered(name, answer)
        return answer

    async def finish(self, name: str, task_id: str, exec_id: str, call_id: str | None, document: object) -> Done:
        """`success` or `fail` with its result or error, which the task's own revision of its definition checks.

        The result of a decision are actions; they take effect with it.
        """
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
            if answer.name == "decision":
                return await self._decisions.succeed(call, answer.row, document)
            checked = answer.row["rev"]
            if answer.row["kind"] == "task":  # the schemas of a workflow's definition are not those of its decisions
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
        return await self._results.awaited(task_id, lambda: self.row(task_id), seconds, caller)


def _hindered(name: str, obstacle: Obstacle) -> TaskRpcError:
    if obstacle.name == "too-large":
        return invalid_params("feedback", f"the list would grow beyond {FEEDBACK_BYTES} bytes")
    task_id, workflow_id = obstacle.row["id"], obstacle.row["parent_id"]
    if obstacle.name == "workflow-done":
        message = f"Task {task_id} belongs to workflow {workflow_id}, which is done: it is not tried again"
        return TaskRpcError("workflow-has-been-done", message, {"workflow": workflow_id})
    if obstacle.name == "of-flow":
        return invalid_params("id", f"task {task_id} is tried again by its flow only; restart workflow {workflow_id}")
    refusal = (
        f"task {task_id} is a decision of workflow {workflow_id}; {name} is not for decisions, cancel the workflow"
    )
    return invalid_params("id", refusal)
