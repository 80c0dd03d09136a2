"""What people do with executions of flows: have them go on, done again, or ended; and look at their task runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.commands import check_resume, paused_runs
from taskrpc.core.flow.advance.context import id_of_run
from taskrpc.core.flow.advance.restart import can_restart, replay
from taskrpc.core.flow.advance.state import State
from taskrpc.core.flow.inputs import InvalidInputError
from taskrpc.core.flow.records import document_text, read_run
from taskrpc.core.flow.view import run_number, shown_runs
from taskrpc.core.ids import derived_id, is_id, serial_id, uuid7
from taskrpc.core.lifecycle import not_found
from taskrpc.core.model import Resource, Row
from taskrpc.engine.execution_cache import LONGEST_OUTPUTS, Cached
from taskrpc.engine.execution_starts import Starts, refused_inputs, workflow_of
from taskrpc.engine.execution_steps import Steps
from taskrpc.engine.requests import TaskRequest, already_exists
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.claims import MOST_ANSWER_BYTES
from taskrpc.store.creations import Created, Exists
from taskrpc.store.database import Database, unavailable
from taskrpc.store.recovery import fetch_through_outages, through_outages
from taskrpc.store.signals import Signals
from taskrpc.store.workflows import NewWorkflow, WorkflowCreations

# A replay from a task run on copies the outputs of the runs that it keeps.
_ALL: Final = 2**30
_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.005
_BYTES_OF_RUN: Final = 256
_MOST_ERRORS: Final = 10_000

Attempt = Callable[[Cached], Awaitable[Row | None]]


class ExecutionCommands:
    """The calls about executions."""

    def __init__(self, database: Database, signals: Signals, steps: Steps, starts: Starts) -> None:
        self._database = database
        self._signals = signals
        self._steps = steps
        self._starts = starts
        self._creations = WorkflowCreations(database, signals)

    async def resume(
        self, workflow_id: str, run_id: str | None, inputs: Mapping[str, Any], by: str | None, call_id: str | None
    ) -> Row:
        """Lets a paused run go on; answers the workflow. Raises `cannot-resume`, `invalid-params` for its inputs."""
        call = call_id or serial_id()

        async def attempt(cached: Cached) -> Row | None:
            n = _paused_run(cached, run_id)
            values = await self._checked(cached, n, inputs)
            body = document_text({"run": n, "inputs": values, "by": by})
            return await self._change("resume_execution", workflow_id, body, call)

        return await self._when_free(workflow_id, "resume", call_id, attempt)

    async def restart(self, workflow_id: str, call_id: str | None) -> Row:
        """Has the failed and paused runs of an execution done again; answers the workflow. Raises `cannot-restart`."""
        call = call_id or serial_id()

        async def attempt(cached: Cached) -> Row | None:
            head = cached.state.head
            if not (head.finished or head.state == "PAUSED") or not can_restart(cached.state):
                why = "nothing of it has failed" if head.finished else "it has not come to its end"
                raise TaskRpcError(
                    "cannot-restart", f"Execution {workflow_id} is {head.state}: {why}", {"state": head.state}
                )
            return await self._change("restart_execution", workflow_id, cached.version, call)

        return await self._when_free(workflow_id, "restart", call_id, attempt)

    async def replay(self, workflow_id: str, run_id: str | None, new_id: str | None, call_id: str | None) -> Row:
        """A new execution with the inputs of this one, from its beginning or from a task run on; answers its workflow.

        Raises `cannot-replay`, `workflow-already-exists`.
        """
        cached, row = await self._seen(workflow_id, "replay", LONGEST_OUTPUTS if run_id is None else _ALL)
        target = None if run_id is None else _known_run(cached, run_id)
        call = serial_id() if call_id is None else derived_id("replay", workflow_id, call_id)
        state = await self._replayed(cached, new_id or (uuid7() if call_id is None else call), target)
        request = TaskRequest(
            definition=row["name"],
            params=cached.state.head.inputs,
            id=state.head.id,
            requester={"id": workflow_id, "resourceType": "AidboxWorkflow"},
        )
        return await self._create(workflow_of(request, cached.loaded, call, state))

    async def _replayed(self, cached: Cached, new_id: str, target: int | None) -> State:
        try:
            return replay(cached.loaded.flow, cached.state, new_id, await self._starts.now(), target)
        except ValueError as error:
            raise TaskRpcError("cannot-replay", f"Execution {cached.id}: {error}") from None

    async def _create(self, workflow: NewWorkflow) -> Row:
        (outcome,) = await through_outages(self._database, lambda: self._creations.run([workflow]))
        if isinstance(outcome, Exists):
            raise already_exists(outcome.row)
        assert isinstance(outcome, Created)
        return outcome.row

    async def task_runs(self, workflow_id: str) -> list[Resource]:
        """The task runs of an execution, in the order of their creation; none for a workflow of another kind."""
        (size,) = await self._database.read("size_of_runs", workflow_id)
        if size["bytes"] + size["number"] * _BYTES_OF_RUN > MOST_ANSWER_BYTES:
            message = f"{size['number']} task runs would be more than 32 MiB; look at its tasks with awf.task/list"
            raise invalid_params("include-task-runs?", message)
        rows = await self._database.read("shown_runs", workflow_id)
        runs = [read_run(row["n"], row["parent"], row["body"], None, row["outputs"]) for row in rows]
        return shown_runs(workflow_id, runs, await self._errors(workflow_id))

    async def labels(self, workflow_id: str) -> dict[str, str] | None:
        """The labels of an execution, those that have come to it too; None for a workflow of another kind."""
        rows = await self._database.read("labels_of_execution", workflow_id)
        return dict(orjson.loads(rows[0]["labels"])) if rows else None

    async def _errors(self, workflow_id: str) -> dict[int, str]:
        rows = await self._database.read("errors_of_runs", workflow_id, _MOST_ERRORS)
        entries = [orjson.loads(row["params"]) for row in rows]
        numbers = [(run_number(workflow_id, entry.get("taskRunId", "")), entry["message"]) for entry in entries]
        return {n: message for n, message in numbers if n is not None}

    # -- how it is done --------------------

    async def _checked(self, cached: Cached, n: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
        flow, state, at = cached.loaded.flow, cached.state, await self._starts.now()
        try:
            return await self._steps.outside(cached).answer(
                lambda facts: check_resume(flow, state, n, inputs, at, facts)
            )
        except InvalidInputError as error:
            raise refused_inputs(error, "inputs") from None

    async def _seen(self, workflow_id: str, call: str, longest_outputs: int = LONGEST_OUTPUTS) -> tuple[Cached, Row]:
        """An execution with its workflow; longer outputs may be left out.

        Raises `workflow-not-found`, `cannot-…` for one that is no flow's.
        """
        rows = await self._database.fetch("tasks_by_id", [workflow_id]) if is_id(workflow_id) else []
        if not rows or rows[0]["kind"] != "workflow":
            raise not_found(workflow_id, "workflow")
        if rows[0]["state"] is None:
            raise TaskRpcError(f"cannot-{call}", f"Workflow {workflow_id} is not of a flow: it decides by decisions")
        cached = await self._steps.load(workflow_id, longest_outputs)
        if cached is None:
            raise not_found(workflow_id, "workflow")
        return cached, rows[0]

    async def _when_free(self, workflow_id: str, call: str, call_id: str | None, attempt: Attempt) -> Row:
        """Makes attempts until one takes effect: in between the execution goes on, or somebody holds its workflow."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _PATIENCE_SECONDS
        while clock() < deadline:
            cached, row = await through_outages(self._database, lambda: self._seen(workflow_id, call))
            if call_id is not None and (row["call"], row["call_id"]) == (call, call_id):
                return row
            changed = await attempt(cached)
            if changed is not None:
                return changed
            await asyncio.sleep(_PAUSE_SECONDS)
        raise unavailable(f"Workflow {workflow_id} is held by another transaction")

    async def _change(self, statement: str, *args: object) -> Row | None:
        rows = await fetch_through_outages(self._database, statement, *args)
        self._signals.changed(rows)
        return rows[0] if rows else None


def _paused_run(cached: Cached, run_id: str | None) -> int:
    paused = paused_runs(cached.state)
    shown = [id_of_run(cached.id, n) for n in paused]
    if run_id is not None and run_id in shown:
        return paused[shown.index(run_id)]
    if run_id is None and len(paused) == 1:
        return paused[0]
    if run_id is not None:
        problem = f"Task run {run_id[:100]} of execution {cached.id} is not paused"
    else:
        problem = f"Execution {cached.id} is {cached.state.head.state}, and " + (
            "several task runs wait: say taskRunId" if paused else "no task run waits to be resumed"
        )
    raise TaskRpcError("cannot-resume", problem, {"state": cached.state.head.state, "taskRunIds": shown})


def _known_run(cached: Cached, run_id: str) -> int:
    n = run_number(cached.id, run_id)
    if n is None or not cached.state.has(n):
        raise TaskRpcError("cannot-replay", f"Execution {cached.id} has no task run {run_id[:100]}")
    return n
