"""The OpenAPI document of files: `/files/{path}`."""

from functools import cache
from typing import Any, Final

from taskrpc.core.file_uri import PREFIX
from taskrpc.core.names import LONGEST_PATH
from taskrpc.web.openapi_parts import ALWAYS, PROBLEM, PROBLEM_CONTENT, SECURITY_SCHEMES, Schema, head, refusals
from taskrpc.web.protocol import FILES_PATH

_DESCRIPTION: Final = (
    "The internal storage: contents go up and down in streams, their URIs travel. A key opens it, or as a bearer a "
    "token for the files of an execution. docs/protocol.md tells more."
)
_BINARY: Final[Schema] = {"application/octet-stream": {"schema": {}}}
_SCHEMAS: Final[Schema] = {
    "File": {
        "type": "object",
        "required": ["resourceType", "uri", "path", "size"],
        "properties": {
            "resourceType": {"const": "AidboxFile"},
            "uri": {"type": "string", "pattern": f"^{PREFIX}"},
            "path": {"type": "string"},
            "size": {"type": "integer", "minimum": 0},
        },
        "additionalProperties": False,
    },
    "Problem": PROBLEM,
}
_PATH: Final[Schema] = {
    "name": "path",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_PATH},
    "description": "Relative, with slashes as they are; its parts are neither empty nor . nor ..",
}
_RANGE: Final[Schema] = {
    "name": "Range",
    "in": "header",
    "schema": {"type": "string", "examples": ["bytes=0-99", "bytes=-1"]},
    "description": "One range of bytes; any other is ignored",
}


def _headers(*names: str) -> Schema:
    return {name: {"schema": {"type": "string"}} for name in names}


def _put() -> Schema:
    file = {"application/json": {"schema": {"$ref": "#/components/schemas/File"}}}
    stored = {"description": "The file is stored, in place of the one that was there", "content": file}
    types = {"invalid-params", "body-too-large", "unsupported-media-type", "request-timeout", *ALWAYS}
    return {
        "operationId": "putFile",
        "summary": "Store a file",
        "requestBody": {"required": True, "content": _BINARY},
        "responses": {"201": stored, **refusals(sorted(types), PROBLEM_CONTENT)},
    }


def _read(id: str, summary: str, content: Schema) -> Schema:
    about = _headers("Accept-Ranges", "Last-Modified")
    whole = {"description": "The file", "headers": about, **content}
    part = {"description": "A range of it", "headers": {**about, **_headers("Content-Range")}, **content}
    types = {"invalid-params", "file-not-found", "range-not-satisfiable", *ALWAYS}
    return {
        "operationId": id,
        "summary": summary,
        "parameters": [_RANGE],
        "responses": {"200": whole, "206": part, **refusals(sorted(types), PROBLEM_CONTENT if content else {})},
    }


@cache
def document() -> dict[str, Any]:
    """The document, as it is served."""
    paths = {
        "parameters": [_PATH],
        "put": _put(),
        "get": _read("getFile", "Read a file", {"content": _BINARY}),
        "head": _read("headFile", "Ask for the size and the age of a file", {}),
    }
    return {
        **head("Files", _DESCRIPTION),
        "paths": {f"{FILES_PATH}{{path}}": paths},
        "components": {"securitySchemes": SECURITY_SCHEMES, "schemas": _SCHEMAS},
    }
