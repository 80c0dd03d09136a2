"""Triggers, read from the document: Schedule, Flow, Webhook."""

from collections.abc import Mapping
from typing import Any, Final

from taskrpc.core.cron import parse_schedule, parse_zone
from taskrpc.core.definition import shown
from taskrpc.core.flow.expressions import rendering
from taskrpc.core.flow.model import Trigger
from taskrpc.core.flow.parse_preconditions import read_preconditions
from taskrpc.core.flow.reading import Path, Reader
from taskrpc.core.flow.types import short_name

_COMMON: Final = {
    "id": "id!", "type": "text!", "description": "any", "disabled": "flag", "conditions": "any", "labels": "labels",
    "stopAfter": "texts", "allowConcurrent": "flag", "inputs": "map",
}  # fmt: skip
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "core.trigger.Schedule": {
        "cron": "text!", "timezone": "text", "withSeconds": "flag", "lateMaximumDelay": "duration",
        "recoverMissedSchedules": "text",
    },
    "core.trigger.Flow": {"states": "texts", "preconditions": "any"},
    "core.trigger.Webhook": {"key": "text!", "wait": "flag", "returnOutputs": "flag"},
}  # fmt: skip
_CONDITIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "core.condition.ExecutionStatus": {"in": "texts", "notIn": "texts"},
    "core.condition.ExecutionFlow": {"namespace": "text!", "flowId": "text!"},
    "core.condition.ExecutionNamespace": {"namespace": "text!", "comparison": "text", "prefix": "flag"},
    "core.condition.ExecutionLabels": {"labels": "labels!"},
    "core.condition.Expression": {"expression": "text!"},
}
STATES: Final = (
    "SUCCESS",
    "WARNING",
    "FAILED",
    "KILLED",
    "CANCELLED",
    "RETRIED",
    "SKIPPED",
    "PAUSED",
    "RUNNING",
    "QUEUED",
)


def read_triggers(reader: Reader, value: Any) -> tuple[Trigger, ...]:
    """The triggers of a flow."""
    found: dict[str, Trigger] = {}
    for at, each in reader.entries(value, ("triggers",)):
        fields = reader.mapping(each, at)
        type = short_name(str(fields.get("type", "")))
        if type not in _TYPES:
            reader.wrong((*at, "type"), f"is one of {', '.join(_TYPES)}, not {shown(fields.get('type'))}")
            continue
        fields = reader.mapping(fields, at, {**_COMMON, **_TYPES[type]})
        _check(reader, fields, at, _TYPES[type])
        id = str(fields.get("id", ""))
        if id in found:
            reader.wrong((*at, "id"), f"the trigger id {id} is not unique")
        found[id] = Trigger(id, type.rpartition(".")[2], fields, fields.get("disabled", False))  # type: ignore[arg-type]
    return tuple(found.values())


def _check(reader: Reader, fields: dict[str, Any], path: Path, known: Mapping[str, str]) -> None:
    _check_schedule(reader, path, fields)
    for key in ("states", "stopAfter"):
        names = fields.get(key, [])
        for name in [names] if isinstance(names, str) else names:
            if name not in STATES:
                reader.wrong((*path, key), f"{shown(name)} is not a state")
    recovery = fields.get("recoverMissedSchedules", "ALL")
    if recovery not in ("ALL", "LAST", "NONE"):
        reader.wrong((*path, "recoverMissedSchedules"), f"is ALL, LAST or NONE, not {shown(recovery)}")
    if "preconditions" in fields:
        at = (*path, "preconditions")
        fields["preconditions"] = read_preconditions(reader, fields["preconditions"], at, STATES)
    fields["labels"] = reader.labels(fields.get("labels", {}), (*path, "labels"))
    reader.templates(fields.get("inputs"), (*path, "inputs"))
    fields["conditions"] = [
        condition
        for at, each in reader.entries(fields.get("conditions", []), (*path, "conditions"))
        if (condition := _condition(reader, each, at, of_executions="states" in known))
    ]


def _check_schedule(reader: Reader, path: Path, fields: Mapping[str, Any]) -> None:
    """Asks who makes rules of the scheduler from schedules."""
    for key, parse in (("timezone", parse_zone), ("cron", parse_schedule)):
        try:
            if key in fields:
                parse(fields[key])
        except ValueError as error:
            reader.wrong((*path, key), str(error))
    cron, has_seconds = fields.get("cron", "").strip(), bool(fields.get("withSeconds"))
    if cron and not cron.startswith("@") and (len(cron.split()) == 6) != has_seconds:
        reader.wrong((*path, "cron"), "has five fields; six, with a second before them, if withSeconds is true")
    if rendering.is_template(str(fields.get("lateMaximumDelay", ""))):
        reader.wrong(
            (*path, "lateMaximumDelay"), "is a duration; there is nothing yet that an expression could speak of"
        )


def _condition(reader: Reader, value: Any, path: Path, of_executions: bool) -> dict[str, Any] | None:
    fields = reader.mapping(value, path)
    type = short_name(str(fields.get("type", "")))
    if type not in _CONDITIONS:
        reader.wrong((*path, "type"), f"is one of {', '.join(_CONDITIONS)}, not {shown(fields.get('type'))}")
        return None
    if not of_executions and type != "core.condition.Expression":
        reader.wrong((*path, "type"), "is for triggers of type core.trigger.Flow; here is core.condition.Expression")
    fields = reader.mapping(fields, path, {"type": "text!", **_CONDITIONS[type]})
    reader.templates(fields, path)
    if "labels" in fields:
        fields["labels"] = reader.labels(fields["labels"], (*path, "labels"))
    return {**fields, "type": type.rpartition(".")[2]}
