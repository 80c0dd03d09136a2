"""From a line to the resource to be stored."""

from typing import Final, NamedTuple

import orjson

from .bad_input import bad_line

_LONGEST_ID: Final = 255


class Resource(NamedTuple):
    """A record of the staging table; `text` is the line as it stands in the input."""

    line: int
    id: str
    text: str


def read_resource(url: str, number: int, line: bytes, resource_type: str) -> Resource:
    """Check that the line is a storable resource of that type. Raises `TaskRpcError("bad-input")`."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise bad_line(url, number, f"not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(value, dict):
        raise bad_line(url, number, "not a JSON object")
    if value.get("resourceType") != resource_type:
        found = _shown(value.get("resourceType"))
        raise bad_line(url, number, f"resourceType is {found}, expected {resource_type!r}")
    id = value.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
        raise bad_line(url, number, f"id has to be text of 1 to {_LONGEST_ID} characters, not {_shown(id)}")
    # The look at the bytes spares the walk: only an escaped NUL gets past the parser.
    if b"\\u0000" in line and _holds_nul(value):
        raise bad_line(url, number, "a string holds U+0000, which PostgreSQL cannot store")
    return Resource(number, id, line.decode())


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]


def _holds_nul(value: object) -> bool:
    pending = [value]
    while pending:
        match pending.pop():
            case str(text) if "\0" in text:
                return True
            case dict(mapping):
                pending += [*mapping.keys(), *mapping.values()]
            case list(elements):
                pending += elements
    return False
