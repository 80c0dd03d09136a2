"""Requests for tasks and workflows: checked against their definitions and made ready for the store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from taskrpc.core.built_in import AT_ONCE, BUILT_INS, Wait, parse_params, refuse_time
from taskrpc.core.definition import Definition
from taskrpc.core.ids import uuid7
from taskrpc.core.model import Row, resource_type, task_resource
from taskrpc.core.submission import Submission
from taskrpc.errors import TaskRpcError
from taskrpc.store.creations import NewTask
from taskrpc.store.workflows import NewWorkflow


class TaskRequest(NamedTuple):
    """A task or a workflow to be created.

    Without an `id` the server names it, without a priority it has that of its definition. `parent_id` is the workflow
    that starts it, `submission` what came with it over REST, `callback` where
    its outcome is posted to.
    """

    definition: str
    params: object = None
    id: str | None = None
    label: str | None = None
    execute_at: datetime | None = None
    priority: int | None = None
    requester: Mapping[str, object] | None = None
    parent_id: str | None = None
    submission: Submission | None = None
    callback: Mapping[str, object] | None = None


def json_text(value: object) -> str | None:
    """A document as the database keeps it; None where nothing was given."""
    return None if value is None else orjson.dumps(value).decode()


def _checked_params(definition: Definition, params: object, path: str) -> object:
    if definition.params_schema is None:
        return params
    return definition.params_schema.check({} if params is None else params, path)


def _priority(request: TaskRequest, definition: Definition) -> int:
    return definition.spec.priority if request.priority is None else request.priority


def new_task(request: TaskRequest, definition: Definition, call_id: str, path: str = "params") -> NewTask:
    """Raises `invalid-params` for params that do not fit their schema; `path` is where they stand."""
    task_id, execute_at = request.id or uuid7(), request.execute_at
    if definition.name in BUILT_INS:
        execute_at = _time_of_built_in(request, path)
    params = _checked_params(definition, request.params, path)
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
        priority=_priority(request, definition),
        params=json_text(params),
        label=request.label,
        requester=json_text(request.requester),
        execute_at=execute_at,
        gate_value=value,
        gate=definition.gate(value),
        queue_gate=definition.queue_gate,
        parent_id=request.parent_id,
        submission=_submission(request, params),
        callback=json_text(request.callback),
    )


def _submission(request: TaskRequest, params: object) -> str | None:
    return None if request.submission is None else request.submission.kept(request.params, params)


def _time_of_built_in(request: TaskRequest, path: str) -> datetime | None:
    checked = parse_params(request.definition, request.params, path)
    if request.definition in AT_ONCE and request.execute_at is not None:
        raise refuse_time(request.definition)
    return checked.ends_at if isinstance(checked, Wait) else request.execute_at


def new_workflow(request: TaskRequest, definition: Definition, call_id: str, path: str = "params") -> NewWorkflow:
    """Raises `invalid-params` as `new_task` does."""
    params = _checked_params(definition, request.params, path)
    return NewWorkflow(
        id=request.id or uuid7(),
        decision_id=uuid7(),
        name=request.definition,
        rev=definition.rev,
        call_id=call_id,
        priority=_priority(request, definition),
        params=json_text(params),
        label=request.label,
        requester=json_text(request.requester),
        execute_at=request.execute_at,
        parent_id=request.parent_id,
        submission=_submission(request, params),
        callback=json_text(request.callback),
    )


def already_exists(row: Row) -> TaskRpcError:
    """`task-already-exists` or `workflow-already-exists`, with what has the id."""
    kind = resource_type(row["kind"]).removeprefix("Aidbox").lower()
    return TaskRpcError(
        f"{kind}-already-exists", f"There is a {kind} {row['id']} already", {"resource": task_resource(row)}
    )
