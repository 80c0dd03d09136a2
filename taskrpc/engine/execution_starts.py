"""New executions of flows: their inputs are read and checked, then their workflow begins with their state."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from taskrpc.core.definition import FLOW_SPEC, Definition
from taskrpc.core.flow.advance.state import State, begin
from taskrpc.core.flow.documents import problem_of
from taskrpc.core.flow.durations import microseconds_of, moment
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.inputs import InvalidInputError, resolve_inputs
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.records import document_text, head_text, run_text
from taskrpc.core.ids import uuid7
from taskrpc.engine.flows import Flows, LoadedFlow
from taskrpc.engine.requests import TaskRequest, new_workflow
from taskrpc.errors import Mistake, TaskRpcError, invalid_params, invalid_params_of
from taskrpc.store.database import Database
from taskrpc.store.recovery import fetch_through_outages
from taskrpc.store.workflows import NewWorkflow, RunRecord

FAILED_CHECK: Final = "system.failedCheck"


class Starts:
    """Makes new workflows ready for the store, those of flows with their executions."""

    def __init__(self, database: Database, flows: Flows) -> None:
        self._database = database
        self._flows = flows

    async def workflow(
        self, request: TaskRequest, definition: Definition, call_id: str, path: str = "params"
    ) -> NewWorkflow:
        """A new workflow of either kind. Raises `invalid-params`; `cannot-start` for a flow that wants none."""
        if definition.spec.kind != "flow":
            return new_workflow(request, definition, call_id, path)
        loaded = await self._flows.of_rev(definition.rev)
        assert loaded is not None, definition
        return await self.new(request, loaded, call_id, path, checks=True)

    async def new(
        self,
        request: TaskRequest,
        loaded: LoadedFlow,
        call_id: str,
        path: str = "params",
        trigger: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        checks: bool = False,
    ) -> NewWorkflow:
        """A new execution of a flow, whose inputs are the params. Raises as `workflow` does.

        The `checks` of the flow are made for what somebody starts, not for what triggers do.
        """
        if loaded.flow.disabled:
            raise TaskRpcError("cannot-start", f"The flow {request.definition} is disabled")
        if problem := problem_of(trigger) or problem_of(labels):
            raise invalid_params("trigger", f"what starts the flow {problem}")
        at = await self.now()
        inputs = _inputs(loaded.flow, request.params, at, path)
        request = request._replace(id=request.id or uuid7())
        failed = _failed_check(loaded.flow, inputs, at) if checks else {}
        state = begin(loaded.flow, str(request.id), at, inputs, {**(labels or {}), **failed}, trigger)
        return workflow_of(request, loaded, call_id, state)

    async def now(self) -> int:
        """The database's time, in microseconds since 1970."""
        rows = await fetch_through_outages(self._database, "clock")
        return microseconds_of(rows[0]["now"])


def workflow_of(request: TaskRequest, loaded: LoadedFlow, call_id: str, state: State) -> NewWorkflow:
    """The workflow that an execution begins with; its params are shown as they were given."""
    plain = Definition(request.definition, loaded.rev, FLOW_SPEC)
    runs = tuple(record_of(state, n) for n in sorted(state.runs)) if len(state.runs) > 1 else ()
    return replace(new_workflow(request, plain, call_id), head=head_text(state.head), runs=runs)


def record_of(state: State, n: int) -> RunRecord:
    """A run of a new execution, with all that there is of it."""
    run = state.run(n)
    outputs = None if run.outputs is None else document_text(run.outputs)
    return RunRecord(n, run.parent, run_text(run), document_text(run.fixed) if run.fixed else None, outputs)


def _inputs(flow: Flow, given: object, at: int, path: str) -> dict[str, Any]:
    def rendering(values: Mapping[str, Any]) -> Rendering:
        return Rendering({"inputs": values}, moment(at))

    try:
        return resolve_inputs(flow.inputs, given if isinstance(given, Mapping) else {}, rendering)
    except InvalidInputError as error:
        raise refused_inputs(error, path) from None


def refused_inputs(error: InvalidInputError, path: str) -> TaskRpcError:
    """`invalid-params` with every mistake in inputs, which stand at `path`."""
    return invalid_params_of([Mistake(f"{path}.{id}" if id else path, problem) for id, problem in error.mistakes])


def _failed_check(flow: Flow, inputs: Mapping[str, Any], at: int) -> dict[str, str]:
    """The label of an execution that a check wants to fail. Raises `cannot-start` where one forbids the start."""
    failed: dict[str, str] = {}
    for check in flow.checks:
        try:
            holds = Rendering({"inputs": inputs}, moment(at)).condition(check.condition)
        except ExpressionError as error:
            raise TaskRpcError("cannot-start", f"{check.message}: {error}") from None
        if not holds and check.behavior == "BLOCK_EXECUTION":
            raise TaskRpcError("cannot-start", check.message, {"style": check.style})
        if not holds and check.behavior == "FAIL_EXECUTION":
            failed = {FAILED_CHECK: check.message}
    return failed
