"""What the OpenAPI documents are made of: errors by status, ways to present a key."""

from collections.abc import Iterable
from typing import Any, Final

from taskrpc.errors import HTTP_STATUS

Schema = dict[str, Any]

# Of what the documents describe, not of the software.
_VERSION: Final = "1.0.0"

SECURITY_SCHEMES: Final[Schema] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}
ERROR: Final[Schema] = {
    "type": "object",
    "required": ["type", "message"],
    "properties": {
        "type": {"type": "string", "enum": sorted(HTTP_STATUS)},
        "message": {"type": "string"},
        "data": {"type": "object"},
    },
    "additionalProperties": False,
}
# A refusal as most paths tell it.
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": ERROR},
    "additionalProperties": False,
}
# In documents that have a schema Problem.
PROBLEM_CONTENT: Final[Schema] = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
# As long as the service has no keys, none is needed.
_SECURITY: Final[list[dict[str, list[str]]]] = [{}, {"key": []}, {"bearer": []}, {"basic": []}]
# Whatever is called may be answered so.
ALWAYS: Final = ("unauthorized", "forbidden", "internal-error", "unavailable", "outcome-unknown")

_RETRY_AFTER: Final = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}


def head(title: str, description: str) -> Schema:
    """The beginning of a document."""
    info = {"title": title, "version": _VERSION, "description": description, "license": {"name": "Apache-2.0"}}
    return {"openapi": "3.1.0", "info": info, "security": _SECURITY}


def refusals(types: Iterable[str], content: Schema) -> Schema:
    """Responses by HTTP status for errors of these types."""
    found: dict[str, list[str]] = {}
    for type in types:
        found.setdefault(str(HTTP_STATUS[type]), []).append(type)
    return {
        status: {
            "description": ", ".join(sorted(named)),
            **({"headers": _RETRY_AFTER} if status in ("429", "503", "504") else {}),
            "content": content,
        }
        for status, named in sorted(found.items())
    }
