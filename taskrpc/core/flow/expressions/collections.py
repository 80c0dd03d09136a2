"""The filters for lists and maps."""

import contextlib
from collections.abc import Mapping
from typing import Any

import orjson

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.jq import jq
from taskrpc.core.flow.expressions.operations import compare, operation
from taskrpc.core.flow.expressions.values import json_text, plain, shown, text_of, whole


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionError(f"{what} needs a list, not {shown(value)}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"{what} needs text, not {shown(value)}")
    return value


@operation("|length")
def _length(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise ExpressionError(f"length needs text, a list or a map, not {shown(value)}")


@operation("|first")
def _first(value: Any) -> Any:
    return value[0] if isinstance(value, str | list) and value else None


@operation("|last")
def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, str | list) and value else None


@operation("|join")
def _join(value: Any, separator: Any = "") -> str:
    return text_of(separator).join(text_of(each) for each in _list(value, "join"))


@operation("|sort")
def _sort(value: Any) -> list[Any]:
    return _sorted(value)


@operation("|rsort")
def _rsort(value: Any) -> list[Any]:
    return _sorted(value)[::-1]


def _sorted(value: Any) -> list[Any]:
    values = _list(value, "sort")
    for each in values[1:]:
        compare(values[0], each)
    return sorted(values)


@operation("|reverse")
def _reverse(value: Any) -> list[Any]:
    return _list(value, "reverse")[::-1]


@operation("|slice")
def _slice(value: Any, fromIndex: Any, toIndex: Any = None) -> Any:
    """From an index, up to another one that is not included."""
    if not isinstance(value, str | list):
        raise ExpressionError(f"slice needs text or a list, not {shown(value)}")
    first = whole(fromIndex, "slice")
    last = len(value) if toIndex is None else whole(toIndex, "slice")
    if not 0 <= first <= last <= len(value):
        raise ExpressionError(f"slice goes from 0 to {len(value)}, not from {first} to {last}")
    return value[first:last]


@operation("|keys")
def _keys(value: Any) -> list[Any]:
    if isinstance(value, list):
        return list(range(len(value)))
    return list(_map(value, "keys"))


@operation("|values")
def _values(value: Any) -> list[Any]:
    return list(_map(value, "values").values())


def _map(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ExpressionError(f"{what} needs a map, not {shown(value)}")
    return value


@operation("|merge")
def _merge(value: Any, other: Any) -> Any:
    if isinstance(value, Mapping):
        return {**value, **_map(other, "merge")}
    return _list(value, "merge") + _list(other, "merge")


@operation("|chunk")
def _chunk(value: Any, size: Any) -> list[Any]:
    values, most = _list(value, "chunk"), whole(size, "chunk")
    if most < 1:
        raise ExpressionError(f"chunk needs a size of 1 or more, not {most}")
    return [values[start : start + most] for start in range(0, len(values), most)]


@operation("|flatten")
def _flatten(value: Any) -> list[Any]:
    return [one for each in _list(value, "flatten") for one in (each if isinstance(each, list) else [each])]


@operation("|distinct")
def _distinct(value: Any) -> list[Any]:
    first: dict[str, Any] = {}
    for each in _list(value, "distinct"):
        first.setdefault(json_text(each), each)
    return list(first.values())


@operation("|jq")
def _jq(value: Any, expression: Any) -> list[Any]:
    """What a jq program makes of a value (or of a text that is JSON): a list."""
    if isinstance(value, str):
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)
    return jq(plain(value), _text(expression, "jq"))
