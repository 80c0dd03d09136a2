"""Params of rules that take values from a resource: in them `{get-in: path}` stands for what the resource has there."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskrpc.core.definition import shown
from taskrpc.core.selection import Path, is_missing, value_at
from taskrpc.errors import invalid_params

# What a rule starts is an event again: rules that start each other's events would make params grow without end. These
# are the limits of what clients send.
DEEPEST: Final = 64
MOST_BYTES: Final = 8 * 2**20


class _Template(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    get_in: Path = Field(alias="get-in")


def check_templates(value: object) -> None:
    """Raises ValueError for a `get-in` in params that is no path."""
    if _is_template(value):
        try:
            _Template.model_validate(value)
        except ValidationError:
            raise ValueError(f"get-in is a path of 1 to 32 keys and numbers, not {shown(value)}") from None
    elif isinstance(value, Mapping):
        for inner in value.values():
            check_templates(inner)
    elif isinstance(value, list):
        for inner in value:
            check_templates(inner)


def filled(params: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """Params with the values of a resource; what the resource does not have is left out of mappings, and null in lists.

    Raises `invalid-params` where that is no mapping, larger than MOST_BYTES or nested deeper than DEEPEST.
    """
    sizes: dict[int, int] = {}
    size = 0
    for value in _values(params, resource):
        if id(value) not in sizes:
            sizes[id(value)] = len(orjson.dumps(value))
        size += sizes[id(value)]
        if size > MOST_BYTES:
            raise invalid_params("params", f"with the values of the resource they are larger than {MOST_BYTES} bytes")
    found = _filled(params, resource)
    if not isinstance(found, dict):
        raise invalid_params(
            "params", f"a mapping is expected, but at {params['get-in']} the resource has {shown(found)}"
        )
    if _is_deeper(found, DEEPEST):
        raise invalid_params("params", f"with the values of the resource they are nested deeper than {DEEPEST} levels")
    return found


def _is_template(value: object) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"get-in"}


def _values(value: Any, resource: Mapping[str, Any]) -> Iterator[Any]:
    if _is_template(value):
        found = value_at(resource, value["get-in"])
        if not is_missing(found):
            yield found
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _values(inner, resource)


def _present(mapping: Mapping[str, Any], resource: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (key, value)
        for key, value in mapping.items()
        if not (_is_template(value) and is_missing(value_at(resource, value["get-in"])))
    ]


def _filled(value: Any, resource: Mapping[str, Any]) -> Any:
    if _is_template(value):
        found = value_at(resource, value["get-in"])
        return None if is_missing(found) else found
    if isinstance(value, Mapping):
        return {key: _filled(inner, resource) for key, inner in _present(value, resource)}
    return [_filled(inner, resource) for inner in value] if isinstance(value, list) else value


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, Mapping | list):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
