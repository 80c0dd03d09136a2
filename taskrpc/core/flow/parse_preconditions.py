"""Preconditions of Flow triggers, read from the document as preconditions.py wants them."""

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any, Final

from taskrpc.core.definition import shown
from taskrpc.core.flow.durations import SECOND
from taskrpc.core.flow.preconditions import OF_EXPRESSIONS, OF_TEXTS
from taskrpc.core.flow.reading import Path, Reader

_KINDS: Final = {
    "id": "id!", "description": "any", "timeWindow": "any", "flows": "any", "where": "any", "resetOnSuccess": "flag"
}  # fmt: skip
_WINDOWS: Final[Mapping[str, Mapping[str, str]]] = {
    "DURATION_WINDOW": {"window": "any", "windowAdvance": "any"},
    "SLIDING_WINDOW": {"window": "any!"},
    "DAILY_TIME_DEADLINE": {"deadline": "any!"},
    "DAILY_TIME_WINDOW": {"startTime": "any!", "endTime": "any!"},
}
_FLOW: Final = {"namespace": "text!", "flowId": "text", "states": "texts", "labels": "labels"}
_WHERE: Final = {"id": "id!", "operand": "text", "filters": "any!"}
_FILTER: Final = {"field": "text!", "type": "text!", "value": "text", "values": "texts"}
_FIELDS: Final = ("FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION")


def read_preconditions(reader: Reader, value: Any, path: Path, states: Sequence[str]) -> dict[str, Any]:
    """The preconditions of a trigger; what is wrong is noted. `states` are those that there are."""
    fields = reader.mapping(value, path, _KINDS)
    conditions: dict[str, Any] = {}
    for at, each in reader.entries(fields.get("flows", []), (*path, "flows")):
        conditions[f"flows[{at[-1]}]"] = _flow(reader, each, at, states)
    for at, each in reader.entries(fields.get("where", []), (*path, "where")):
        name, condition = _where(reader, each, at)
        if name in conditions:
            reader.wrong((*at, "id"), f"the id {name.removeprefix('where.')} is not unique")
        conditions[name] = condition
    if not conditions:
        reader.wrong(path, "has flows or where, with at least one condition")
    window = _window(reader, fields.get("timeWindow", {}), (*path, "timeWindow"))
    return {"window": window, "conditions": conditions, "reset": fields.get("resetOnSuccess", True)}


def _flow(reader: Reader, value: Any, path: Path, states: Sequence[str]) -> dict[str, Any]:
    fields = reader.mapping(value, path, _FLOW)
    wanted = fields.get("states", ["SUCCESS", "WARNING"])
    fields["states"] = [wanted] if isinstance(wanted, str) else wanted
    for name in fields["states"]:
        if name not in states:
            reader.wrong((*path, "states"), f"{shown(name)} is not a state")
    fields["labels"] = reader.labels(fields.get("labels", {}), (*path, "labels"))
    return fields


def _where(reader: Reader, value: Any, path: Path) -> tuple[str, dict[str, Any]]:
    fields = reader.mapping(value, path, _WHERE)
    operand = fields.get("operand", "AND")
    if operand not in ("AND", "OR"):
        reader.wrong((*path, "operand"), f"is AND or OR, not {shown(operand)}")
    entries = list(reader.entries(fields.get("filters", []), (*path, "filters")))
    if not entries:
        reader.wrong((*path, "filters"), "has at least one filter")
    filters = [_filter(reader, each, at) for at, each in entries]
    return f"where.{fields.get('id')}", {"operand": operand, "filters": filters}


def _filter(reader: Reader, value: Any, path: Path) -> dict[str, Any]:
    fields = reader.mapping(value, path, _FILTER)
    field, type = fields.get("field"), fields.get("type")
    types = OF_EXPRESSIONS if field == "EXPRESSION" else tuple(OF_TEXTS)
    if field not in _FIELDS:
        reader.wrong((*path, "field"), f"is one of {', '.join(_FIELDS)}, not {shown(field)}")
    elif type not in types:
        reader.wrong((*path, "type"), f"is one of {', '.join(types)} for {field}, not {shown(type)}")
    key = "values" if type in ("IN", "NOT_IN") else "value"
    if key not in fields:
        reader.wrong((*path, key), "is required")
    elif type == "REGEX":
        reader.check(fields["value"], (*path, "value"), "pattern")
    elif field == "EXPRESSION":
        reader.templates(fields["value"], (*path, "value"))
    kept = fields.get(key)
    return {"field": field, "type": type, key: [kept] if key == "values" and isinstance(kept, str) else kept}


def _window(reader: Reader, value: Any, path: Path) -> dict[str, Any]:
    type = reader.mapping(value, path).get("type", "DURATION_WINDOW")
    if not isinstance(type, str) or type not in _WINDOWS:
        reader.wrong((*path, "type"), f"is one of {', '.join(_WINDOWS)}, not {shown(type)}")
        return {}
    fields = reader.mapping(value, path, {"type": "text", **_WINDOWS[type]})
    if type in ("DURATION_WINDOW", "SLIDING_WINDOW"):
        length = reader.duration(fields.get("window", "PT24H"), (*path, "window"))
        if not length:
            reader.wrong((*path, "window"), "is longer than nothing")
        return {
            "type": type,
            "length": length,
            "advance": reader.duration(fields.get("windowAdvance", "PT0S"), (*path, "windowAdvance")),
        }
    until = "deadline" if type == "DAILY_TIME_DEADLINE" else "endTime"
    first = _time(reader, fields.get("startTime", "00:00"), (*path, "startTime"))
    last = _time(reader, fields.get(until, "23:59"), (*path, until))
    if last < first:
        reader.wrong((*path, until), "is not before startTime: a window is within one day")
    return {"type": type, "from": first, "to": last}


def _time(reader: Reader, value: Any, path: Path) -> int:
    """Microseconds since midnight; 0 for what is no time of day, which is noted."""
    try:
        at = time.fromisoformat(value)
        if at.tzinfo is not None:
            raise ValueError(value)
    except (TypeError, ValueError):
        reader.wrong(path, f'is a time of day in UTC, like "09:00:00", not {shown(value)}')
        return 0
    return ((at.hour * 60 + at.minute) * 60 + at.second) * SECOND + at.microsecond
