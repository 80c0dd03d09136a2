"""Triggers, read from the document: Schedule, Flow, Webhook."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from taskrpc.core.definition import shown
from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.model import Trigger
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
    "core.trigger.Flow": {"states": "texts"},
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
        _check(reader, fields, at)
        id = str(fields.get("id", ""))
        if id in found:
            reader.wrong((*at, "id"), f"the trigger id {id} is not unique")
        found[id] = Trigger(id, type.rpartition(".")[2], fields, fields.get("disabled", False))  # type: ignore[arg-type]
    return tuple(found.values())


def _check(reader: Reader, fields: dict[str, Any], path: Path) -> None:
    for key in ("cron", "timezone"):
        if key in fields:
            _check_cron(reader, path, key, fields)
    for key in ("states", "stopAfter"):
        names = fields.get(key, [])
        for name in [names] if isinstance(names, str) else names:
            if name not in STATES:
                reader.wrong((*path, key), f"{shown(name)} is not a state")
    recovery = fields.get("recoverMissedSchedules", "ALL")
    if recovery not in ("ALL", "LAST", "NONE"):
        reader.wrong((*path, "recoverMissedSchedules"), f"is ALL, LAST or NONE, not {shown(recovery)}")
    fields["labels"] = reader.labels(fields.get("labels", {}), (*path, "labels"))
    fields["conditions"] = [
        condition
        for at, each in reader.entries(fields.get("conditions", []), (*path, "conditions"))
        if (condition := _condition(reader, each, at))
    ]


def _check_cron(reader: Reader, path: Path, key: str, fields: Mapping[str, Any]) -> None:
    """Asks the library that runs schedules."""
    try:
        if key == "timezone":
            ZoneInfo(fields[key])
        else:
            cron = _NICKNAMES.get(fields[key], fields[key])
            CronSim(cron.partition(" ")[2] if fields.get("withSeconds") else cron, moment(0))
    except (CronSimError, KeyError, ValueError, OSError):
        what = "time zone" if key == "timezone" else "cron expression"
        reader.wrong((*path, key), f"{shown(fields[key])} is not a {what}")


_NICKNAMES: Final = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def _condition(reader: Reader, value: Any, path: Path) -> dict[str, Any] | None:
    fields = reader.mapping(value, path)
    type = short_name(str(fields.get("type", "")))
    if type not in _CONDITIONS:
        reader.wrong((*path, "type"), f"is one of {', '.join(_CONDITIONS)}, not {shown(fields.get('type'))}")
        return None
    fields = reader.mapping(fields, path, {"type": "text!", **_CONDITIONS[type]})
    reader.templates(fields, path)
    if "labels" in fields:
        fields["labels"] = reader.labels(fields["labels"], (*path, "labels"))
    return {**fields, "type": type.rpartition(".")[2]}
