"""A flow's document, as it came from YAML or JSON, to a Flow; or all that is wrong with it."""

import re
from collections.abc import Mapping
from typing import Any, Final

from taskrpc.core.definition import shown
from taskrpc.core.flow.model import Check, Concurrency, Flow, Output, Sla, Task
from taskrpc.core.flow.parse_inputs import TYPES, read_inputs
from taskrpc.core.flow.parse_tasks import TaskReader
from taskrpc.core.flow.parse_triggers import read_triggers
from taskrpc.core.flow.reading import InvalidFlowError, Path
from taskrpc.core.flow.types import short_name

_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LISTS: Final[tuple[str, ...]] = ("tasks", "errors", "finally", "afterExecution")
_KEYS: Final = {
    "id": "id!", "namespace": "text!", "revision": "integer", "description": "any", "inputs": "inputs",
    "outputs": "any",
    "variables": "map", "labels": "labels", "concurrency": "any", "pluginDefaults": "any", "taskDefaults": "any",
    "retry": "any", "sla": "any", "checks": "any", "triggers": "any", "disabled": "flag", "tasks": "tasks!",
    "errors": "tasks", "finally": "tasks", "afterExecution": "tasks",
}  # fmt: skip
_SLA: Final = {
    "id": "id!", "type": "text!", "behavior": "text!", "labels": "labels", "duration": "duration", "assert": "text",
}  # fmt: skip


def parse_flow(document: object) -> Flow:
    """The flow that a document is; raises InvalidFlowError with all of its mistakes, in the order of the document."""
    fields = document if isinstance(document, Mapping) else {}
    namespace, id = str(fields.get("namespace", "")), str(fields.get("id", ""))
    reader = _FlowReader(namespace, id, [])
    known = reader.mapping(document, (), _KEYS)
    if "namespace" in known and not _NAMESPACE.fullmatch(known["namespace"]):
        reader.wrong(("namespace",), f"is made of lower-case letters, digits, _, - and ., not {shown(namespace)}")
    flow = reader.flow(namespace, id, known, fields)
    if reader.mistakes:
        raise InvalidFlowError(reader.mistakes)
    return flow


def parse_template(document: object) -> tuple[tuple[Task, ...], Mapping[str, Task]]:
    """The tasks of a template, and all in them by their ids; raises InvalidFlowError with all of its mistakes."""
    reader = TaskReader("", "", [])
    kinds = {
        "id": "id!",
        "namespace": "text!",
        "description": "any",
        "tasks": "tasks!",
        "errors": "tasks",
        "finally": "tasks",
    }
    known = reader.mapping(document, (), kinds)
    tasks = reader.tasks_of(known.get("tasks"), ("tasks",))
    if reader.mistakes:
        raise InvalidFlowError(reader.mistakes)
    return tasks, reader.tasks


class _FlowReader(TaskReader):
    def flow(self, namespace: str, id: str, known: dict[str, Any], written: Mapping[str, Any]) -> Flow:
        self._defaults = self._plugin_defaults(known)
        lists: dict[str, tuple[Task, ...]] = {
            name: self.tasks_of(known[name], (name,)) for name in _LISTS if name in known
        }
        if known.get("tasks") == []:
            self.wrong(("tasks",), "has at least one task")
        if isinstance(listeners := written.get("listeners"), list):
            for index, each in enumerate(listeners):
                self.tasks_of(self.mapping(each, ("listeners", index)).get("tasks"), ("listeners", index, "tasks"))
        self.templates(known.get("variables"), ("variables",))
        return Flow(
            namespace=namespace,
            id=id,
            lists=lists,
            tasks=self.tasks,
            inputs=read_inputs(self, known.get("inputs", []), ("inputs",)),
            outputs=self._outputs(known.get("outputs", [])),
            variables=known.get("variables", {}),
            labels=self.labels(known.get("labels", {}), ("labels",)),
            retry=self.retry(known["retry"], ("retry",)) if "retry" in known else None,
            sla=tuple(self._sla(known.get("sla", []))),
            checks=tuple(self._checks(known.get("checks", []))),
            concurrency=self._concurrency(known["concurrency"]) if "concurrency" in known else None,
            triggers=read_triggers(self, known.get("triggers", [])),
            disabled=known.get("disabled", False),
        )

    def _plugin_defaults(self, known: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], bool]]:
        found = []
        for key in ("pluginDefaults", "taskDefaults"):
            for at, each in self.entries(known.get(key, []), (key,)):
                entry = self.mapping(each, at, {"type": "text!", "values": "map!", "forced": "flag"})
                if "type" in entry and "values" in entry:
                    found.append((short_name(entry["type"]), entry["values"], entry.get("forced", False)))
        return sorted(found, key=lambda each: each[2])

    def _outputs(self, value: Any) -> tuple[Output, ...]:
        outputs = []
        for at, each in self.entries(value, ("outputs",)):
            kinds = {
                "id": "id!",
                "value": "any!",
                "type": "text",
                "required": "flag",
                "description": "any",
                "displayName": "any",
            }
            entry = self.mapping(each, at, kinds)
            self.templates(entry.get("value"), (*at, "value"))
            if (type := entry.get("type", "STRING")) not in TYPES:
                self.wrong((*at, "type"), f"is one of {', '.join(TYPES)}, not {shown(type)}")
            outputs.append(Output(str(entry.get("id")), entry.get("value"), type, entry.get("required", True)))
        return tuple(outputs)

    def _sla(self, value: Any) -> list[Sla]:
        return [self._promise(each, at) for at, each in self.entries(value, ("sla",))]

    def _promise(self, value: Any, path: Path) -> Sla:
        entry = self.mapping(value, path, _SLA)
        type, behavior = entry.get("type", ""), entry.get("behavior", "")
        needed = {"MAX_DURATION": "duration", "EXECUTION_ASSERTION": "assert"}.get(type)
        if needed is None:
            self.wrong((*path, "type"), "is MAX_DURATION or EXECUTION_ASSERTION")
        elif needed not in entry:
            self.wrong((*path, needed), "is required")
        if behavior not in ("FAIL", "CANCEL", "NONE"):
            self.wrong((*path, "behavior"), "is FAIL, CANCEL or NONE")
        self.templates(entry.get("assert"), (*path, "assert"))
        duration = self.duration(entry["duration"], path) if "duration" in entry else None
        labels = self.labels(entry.get("labels", {}), (*path, "labels"))
        return Sla(str(entry.get("id")), type, behavior, duration, entry.get("assert"), labels)

    def _checks(self, value: Any) -> list[Check]:
        found = []
        for at, each in self.entries(value, ("checks",)):
            entry = self.mapping(
                each, at, {"condition": "text!", "message": "text!", "style": "text", "behavior": "text"}
            )
            self.templates(entry.get("condition"), (*at, "condition"))
            behavior = entry.get("behavior", "BLOCK_EXECUTION")
            if behavior not in ("BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"):
                self.wrong((*at, "behavior"), "is BLOCK_EXECUTION, FAIL_EXECUTION or CREATE_EXECUTION")
            found.append(
                Check(entry.get("condition", ""), entry.get("message", ""), entry.get("style", "INFO"), behavior)
            )
        return found

    def _concurrency(self, value: Any) -> Concurrency:
        entry = self.mapping(value, ("concurrency",), {"limit": "integer!", "behavior": "text"})
        limit, behavior = entry.get("limit", 1), entry.get("behavior", "QUEUE")
        if not isinstance(limit, int) or limit < 1:
            self.wrong(("concurrency", "limit"), f"is a whole number from 1 on, not {shown(limit)}")
        if behavior not in ("QUEUE", "CANCEL", "FAIL"):
            self.wrong(("concurrency", "behavior"), f"is QUEUE, CANCEL or FAIL, not {shown(behavior)}")
        return Concurrency(limit, behavior)
