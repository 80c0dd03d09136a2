"""The OpenAPI document of `/rpc`: made from the table of methods, so that it cannot tell anything else."""

import inspect
from functools import cache
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from taskrpc.errors import HTTP_STATUS
from taskrpc.rpc.registry import PREFIX, Method, methods
from taskrpc.web.openapi_parts import ERROR, SECURITY_SCHEMES, Schema, head, refusals
from taskrpc.wire.envelope import MAX_BATCH

_REF: Final = "#/components/schemas/{model}"
_FORMATS: Final = ("application/json", "text/yaml")
# Of REST and GET only.
_NOT_HERE: Final = frozenset({"task-not-finished", "not-found"})

_DESCRIPTION: Final = (
    "One endpoint for all methods: executors poll tasks and tell how they go on, others create and watch them. "
    "Bodies are JSON or YAML, which has further names as a media type; a list of calls is a batch. What the schemas do "
    "not say, docs/protocol.md does."
)
_RESOURCE: Final[Schema] = {
    "type": "object",
    "required": ["id", "resourceType"],
    "properties": {
        "id": {"type": "string"},
        "resourceType": {"type": "string", "pattern": "^Aidbox"},
        "meta": {
            "type": "object",
            "required": ["createdAt", "lastUpdated", "versionId"],
            "properties": {
                "createdAt": {"type": "string", "format": "date-time"},
                "lastUpdated": {"type": "string", "format": "date-time"},
                "versionId": {"type": "string", "pattern": "^[0-9]+$"},
            },
        },
    },
}
_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "resource": {"$ref": _REF.format(model="Resource")},
        "resources": {"type": "array", "items": {"$ref": _REF.format(model="Resource")}},
        "total": {"type": "integer", "minimum": 0},
        "phase": {"enum": ["queued", "running", "stopping", "stopped", "error", "completed"]},
        "stopRequested": {"const": True},
    },
}
_STRICT_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {"type": "object"}},
}


def _answer(key: str, value: Schema, *, strict: bool = False) -> Schema:
    version = {"jsonrpc": {"const": "2.0"}} if strict else {}
    return {
        "type": "object",
        "required": [key, *version],
        "properties": {key: value, "id": {}, **version},
        "additionalProperties": False,
    }


def _answers() -> Schema:
    error, strict_error = ({"$ref": _REF.format(model=name)} for name in ("Error", "StrictError"))
    result = {"$ref": _REF.format(model="Result")}
    strict = [_answer("result", result, strict=True), _answer("error", strict_error, strict=True)]
    return {"anyOf": [_answer("result", result), _answer("error", error), *strict]}


def _call(method: Method, params: Schema) -> Schema:
    names = [method.name, method.name.removeprefix(PREFIX)]
    required = ["method", "params"] if any(field.is_required() for field in method.params.model_fields.values()) else []
    return {
        "type": "object",
        "title": method.name,
        "description": inspect.getdoc(method.handler),
        "required": required or ["method"],
        "properties": {"method": {"enum": names}, "params": params, "id": {"type": ["string", "integer", "null"]}},
    }


def _content(schema: Schema) -> Schema:
    return {name: {"schema": schema} for name in _FORMATS}


def _operation() -> Schema:
    call, answer = ({"$ref": _REF.format(model=name)} for name in ("Call", "Answer"))
    body = {"anyOf": [call, {"type": "array", "items": call, "minItems": 1, "maxItems": MAX_BATCH}]}
    answers = {"anyOf": [answer, {"type": "array", "items": answer}]}
    refusal = _answer("error", {"$ref": _REF.format(model="Error")})
    return {
        "operationId": "call",
        "summary": "Call methods",
        "requestBody": {"required": True, "content": _content(body)},
        "responses": {
            "200": {"description": "The answer, or those to a batch", "content": _content(answers)},
            "204": {"description": "Only notifications, of strict JSON-RPC 2.0: nothing is answered"},
            **refusals(HTTP_STATUS.keys() - _NOT_HERE, _content(refusal)),
        },
    }


def _schemas() -> Schema:
    table = methods()
    named, defined = models_json_schema(
        [(each, "validation") for each in {method.params for method in table.values()}],
        ref_template=_REF,
    )
    calls = [_call(method, named[method.params, "validation"]) for method in table.values()]
    schemas = {"Error": ERROR, "StrictError": _STRICT_ERROR, "Resource": _RESOURCE, "Result": _RESULT}
    return {**defined["$defs"], **schemas, "Answer": _answers(), "Call": {"oneOf": calls}}


@cache
def document() -> dict[str, Any]:
    """The document, as it is served."""
    return {
        **head("taskrpc", _DESCRIPTION),
        "paths": {"/rpc": {"post": _operation()}},
        "components": {"securitySchemes": SECURITY_SCHEMES, "schemas": _schemas()},
    }
