"""The OpenAPI document of asynchronous workflows over REST."""

from functools import cache
from typing import Any, Final

from taskrpc.core.submission import STATUSES
from taskrpc.errors import HTTP_STATUS
from taskrpc.web.openapi_parts import ALWAYS, PROBLEM_CONTENT, SECURITY_SCHEMES, Schema, head, refusals
from taskrpc.web.rest import LONGEST_CORRELATION_ID
from taskrpc.web.rest_path import PREFIX

_DESCRIPTION: Final = "Submit work to a workflow, ask for its status, fetch the outcome; docs/rest.md tells more."
_STATUS: Final[Schema] = {"$ref": "#/components/schemas/Status"}
_TASK: Final = f"{PREFIX}/{{workflowId}}/task"

_SCHEMAS: Final[Schema] = {
    "Status": {"type": "string", "enum": list(STATUSES)},
    "Problem": {
        "type": "object",
        "required": ["message", "details"],
        "properties": {
            "message": {"type": "string"},
            "details": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string", "enum": sorted(HTTP_STATUS)}},
            },
        },
        "additionalProperties": False,
    },
}
_CORRELATION: Final[Schema] = {
    "name": "X-Correlation-Id",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_CORRELATION_ID, "pattern": "^[!-~]+$"},
    "description": "Kept with the task, echoed and logged",
}
_WORKFLOW_ID: Final[Schema] = {
    "name": "workflowId",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Name of a definition; ~ stands for a slash",
}
_TASK_ID: Final[Schema] = {
    "name": "taskId",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {
        "name": name,
        "in": "query",
        "schema": schema,
        "description": description,
        "style": "form",
        "explode": False,
    }


_TASK_IDS: Final = _query(
    "taskIds", {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}}, "Only these"
)
_STATUSES: Final = _query(
    "taskStatuses", {"type": "array", "items": _STATUS, "minItems": 1}, "Only those in one of these statuses"
)
_VERBOSE: Final = _query("verboseErrorOutput", {"type": "boolean"}, "Have errors told in full")


def _body(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _object(name: str, schema: Schema) -> Schema:
    return {"type": "object", "required": [name], "properties": {name: schema}, "additionalProperties": False}


def _operation(id: str, summary: str, success: Schema, *types: str, **further: Any) -> Schema:
    known = {"invalid-params", "definition-not-found", "not-found", *ALWAYS, *types}
    return {
        "operationId": id,
        "summary": summary,
        **further,
        "responses": {**success, **refusals(sorted(known), PROBLEM_CONTENT)},
    }


def _link(operation: str) -> Schema:
    parameters = {"workflowId": "$request.path.workflowId", "taskId": "$response.body#/taskId"}
    return {"operationId": operation, "parameters": parameters}


def _create() -> Schema:
    links = {name: _link(name) for name in ("getStatus", "getResponse", "getRequest", "deleteTask")}
    return _operation(
        "createTask",
        "Create a task",
        {
            "202": {
                "description": "The task was created",
                "content": _body(_object("taskId", {"type": "string"})),
                "links": links,
            }
        },
        *("unparsable-body", "body-too-large", "unsupported-media-type", "request-timeout", "queue-limit-reached"),
        parameters=[_VERBOSE],
        requestBody={"required": True, "content": _body({"type": "object"})},
    )


def _get(id: str, summary: str, schema: Schema, *types: str, **further: Any) -> Schema:
    return _operation(id, summary, {"200": {"description": summary, "content": _body(schema)}}, *types, **further)


def _delete(id: str, summary: str, **further: Any) -> Schema:
    return _operation(
        id, summary, {"204": {"description": "Deleted"}}, "task-not-found", "task-not-finished", **further
    )


def _paths() -> Schema:
    of_workflow, of_task = [_WORKFLOW_ID, _CORRELATION], [_WORKFLOW_ID, _TASK_ID, _CORRELATION]
    statuses = _object("taskStatusMap", {"type": "object", "additionalProperties": _STATUS})
    one = f"{_TASK}/{{taskId}}"
    return {
        _TASK: {
            "parameters": of_workflow,
            "post": _create(),
            "delete": _delete("deleteTasks", "Delete all tasks, or those in given statuses", parameters=[_STATUSES]),
        },
        f"{_TASK}/status": {
            "parameters": of_workflow,
            "get": _get("getStatuses", "Tasks and their statuses", statuses, parameters=[_TASK_IDS, _STATUSES]),
        },
        one: {"parameters": of_task, "delete": _delete("deleteTask", "Delete a task")},
        f"{one}/status": {
            "parameters": of_task,
            "get": _get("getStatus", "The status of a task", _object("status", _STATUS), "task-not-found"),
        },
        f"{one}/response": {
            "parameters": of_task,
            "get": _get("getResponse", "The outcome of a task", {}, "task-not-found", "task-not-finished"),
        },
        f"{one}/request": {
            "parameters": of_task,
            "get": _get("getRequest", "The input of a task", {"type": "object"}, "task-not-found"),
        },
    }


@cache
def document() -> dict[str, Any]:
    """The document, as it is served."""
    components = {"securitySchemes": SECURITY_SCHEMES, "schemas": _SCHEMAS}
    return {**head("Asynchronous workflows", _DESCRIPTION), "paths": _paths(), "components": components}
