"""The tasks of a flow, read from the document: their lists, what they say about themselves, and what is wrong with
them.
"""

from collections.abc import Mapping
from typing import Any, Final

from taskrpc.core.definition import shown
from taskrpc.core.flow.model import Retry, Task
from taskrpc.core.flow.parse_inputs import read_inputs
from taskrpc.core.flow.reading import Path, Reader
from taskrpc.core.flow.types import COMMON, KNOWN, NOT_IN_A_DIRECTORY, UNSUPPORTED, is_reserved, kind_of, short_name

MOST_DEPTH: Final = 30
MOST_TASKS: Final = 10_000
_LIST_KINDS: Final = ("tasks", "dag", "cases", "oneOrMore")
_RETRY: Final = {
    "type": "text!", "interval": "duration", "maxInterval": "duration", "minInterval": "duration",
    "delayFactor": "factor",
    "maxAttempts": "count", "maxAttempt": "count", "maxDuration": "duration", "warningOnRetry": "flag",
    "behavior": "text",
}  # fmt: skip
# The intervals that a retry of each type has to have, the shortest first.
_INTERVALS: Final = {
    "constant": ("interval",), "exponential": ("interval", "maxInterval"), "random": ("minInterval", "maxInterval"),
}  # fmt: skip
_DETAILS: Final[Mapping[str, Mapping[str, str]]] = {
    "checkFrequency": {"interval": "duration", "maxIterations": "integer", "maxDuration": "duration"},
    "batch": {"rows": "integer", "bytes": "scalar", "partitions": "integer",
        "regexPattern": "text", "separator": "text"},
    "namespaceFiles": {
        "enabled": "boolean", "include": "texts", "exclude": "texts", "namespaces": "texts",
        "folderPerNamespace": "boolean", "ifExists": "text", "fileNotFoundStrategy": "text",
    },
    "cache": {"patterns": "texts!", "ttl": "duration"},
}  # fmt: skip


class TaskReader(Reader):
    """Reads tasks; `tasks` has all of them by id, `defaults` what is filled in by type."""

    def __init__(self, namespace: str, flow_id: str, defaults: list[tuple[str, Mapping[str, Any], bool]]) -> None:
        super().__init__()
        self.tasks: dict[str, Task] = {}
        self._where: dict[str, Path] = {}
        self._flow = (namespace, flow_id)
        self._defaults = defaults

    def tasks_of(self, value: Any, path: Path) -> tuple[Task, ...]:
        """A list of tasks; null is an empty one."""
        entries = self.entries([] if value is None else value, path)
        return tuple(task for at, each in entries if (task := self.task(each, at)) is not None)

    def task(self, value: Any, path: Path, depends_on: tuple[str, ...] = ()) -> Task | None:
        """One task; None if it cannot be told what it is."""
        if sum(isinstance(step, int) for step in path) > MOST_DEPTH or len(self.tasks) > MOST_TASKS:
            self.wrong(path, f"a flow has at most {MOST_TASKS} tasks, nested at most {MOST_DEPTH} deep")
            return None
        fields = self.mapping(value, path)
        type = fields.get("type")
        if not isinstance(type, str):
            self.mapping(fields, path, COMMON)
            return None
        name = short_name(type)
        fields = self._with_defaults(fields, name, type)
        own = {key: fields[key] for key in fields if key in COMMON}
        others = {key: fields[key] for key in fields if key not in COMMON}
        own = self.mapping(own, path, COMMON)
        lists, properties = self._properties(name, others, path)
        task = self._made(name, own, properties, lists, path, depends_on)
        self._register(task, path)
        self._check_whole(task, path)
        return task

    def _with_defaults(self, fields: dict[str, Any], name: str, type: str) -> dict[str, Any]:
        for wanted, values, forced in self._defaults:
            if name == wanted or name.startswith(wanted.rstrip(".") + ".") or type.startswith(wanted + "."):
                fields = {**fields, **values} if forced else {**values, **fields}
        return fields

    def _properties(
        self, name: str, fields: dict[str, Any], path: Path
    ) -> tuple[dict[str, tuple[Task, ...]], dict[str, Any]]:
        for key in UNSUPPORTED:
            if fields.pop(key, None):
                self.wrong((*path, key), "is not supported by this service")
        if name not in KNOWN:
            if is_reserved(name):
                self.wrong((*path, "type"), f"there is no type {name}")
            self.templates(fields, path)
            return {}, fields
        known = KNOWN[name]
        fields = self.mapping(fields, path, known)
        lists: dict[str, tuple[Task, ...]] = {}
        properties: dict[str, Any] = {}
        for key, each in fields.items():
            kind = known[key].rstrip("!")
            if kind in _LIST_KINDS:
                lists |= self._lists(key, kind, each, (*path, key), known[key].endswith("!"))
            else:
                properties[key] = self._property(kind, each, (*path, key))
        return lists, properties

    def _property(self, kind: str, value: Any, path: Path) -> Any:
        if kind == "inputs":
            return read_inputs(self, value, path)
        if kind == "labels":
            return self.labels(value, path)
        self.templates(value, path)
        return self.mapping(value, path, _DETAILS[kind]) if kind in _DETAILS else value

    def _lists(self, key: str, kind: str, value: Any, path: Path, required: bool) -> dict[str, tuple[Task, ...]]:
        if kind == "cases":
            cases = self.mapping(value, path)
            return {f"cases.{case}": self.tasks_of(tasks, (*path, case)) for case, tasks in cases.items()}
        if kind == "oneOrMore" and isinstance(value, Mapping):
            task = self.task(value, path)
            return {key: (task,) if task else ()}
        if required and value == []:
            self.wrong(path, "has at least one task")
        return {key: self._dag(value, path) if kind == "dag" else self.tasks_of(value, path)}

    def _dag(self, value: Any, path: Path) -> tuple[Task, ...]:
        tasks = []
        for at, each in self.entries(value, path):
            entry = self.mapping(each, at, {"task": "map!", "dependsOn": "texts"})
            needed = entry.get("dependsOn", [])
            names = tuple(str(name) for name in ([needed] if isinstance(needed, str) else needed))
            if "task" in entry and (task := self.task(entry["task"], (*at, "task"), names)):
                tasks.append(task)
        self._check_dag(tasks, path)
        return tuple(tasks)

    def _check_dag(self, tasks: list[Task], path: Path) -> None:
        known = {task.id for task in tasks}
        for index, task in enumerate(tasks):
            for n, name in enumerate(task.depends_on):
                if name not in known:
                    self.wrong((*path, index, "dependsOn", n), f"there is no task {name} in this Dag")
        waiting = {task.id: {name for name in task.depends_on if name in known} for task in tasks}
        while free := [id for id, needed in waiting.items() if not needed]:
            for id in free:
                del waiting[id]
            for needed in waiting.values():
                needed.difference_update(free)
        if waiting:
            self.wrong(path, f"tasks depend on each other in a ring: {', '.join(_ring(waiting))}")

    def _made(
        self, name: str, own: dict[str, Any], properties: dict[str, Any], lists: dict[str, tuple[Task, ...]],
        path: Path,
        depends_on: tuple[str, ...],
    ) -> Task:  # fmt: skip
        for key in ("runIf", "description", "timeout"):
            self.templates(own.get(key), (*path, key))
        run_if = own.get("runIf", True)
        return Task(
            id=str(own.get("id", "")),
            type=name,
            kind=kind_of(name),
            properties=properties,
            lists=lists,
            depends_on=depends_on,
            disabled=own.get("disabled", False),
            run_if=run_if if isinstance(run_if, str) else str(run_if).lower(),
            allow_failure=own.get("allowFailure", False),
            allow_warning=own.get("allowWarning", False),
            timeout=None if "timeout" not in own else str(own["timeout"]),
            retry=self.retry(own["retry"], (*path, "retry")) if "retry" in own else None,
            log_level=own.get("logLevel"),
            written_type=own["type"],
        )

    def _register(self, task: Task, path: Path) -> None:
        if not task.id:
            return
        if task.id in self.tasks:
            first = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self._where[task.id])
            self.wrong((*path, "id"), f"the id {task.id} is not unique; {first.removeprefix('.')} has it")
        self.tasks.setdefault(task.id, task)
        self._where.setdefault(task.id, path)

    def _check_whole(self, task: Task, path: Path) -> None:
        match task.kind:
            case "Switch" if not any(task.lists.get(name) for name in task.lists if name.split(".")[0] in _BRANCHES):
                self.wrong(path, "has no task in its cases, nor in its defaults")
            case "Subflow" | "ForEachItem":
                if (task.properties.get("namespace"), task.properties.get("flowId")) == self._flow:
                    self.wrong((*path, "flowId"), "a flow cannot be its own subflow")
            case "WorkingDirectory":
                for index, each in enumerate(task.list_of("tasks")):
                    if each.type in NOT_IN_A_DIRECTORY:
                        self.wrong((*path, "tasks", index, "type"), f"{each.type} cannot be in a WorkingDirectory")

    def retry(self, value: Any, path: Path) -> Retry | None:
        """A `retry`; None if it is wrong."""
        fields = self.mapping(value, path, _RETRY)
        type = fields.get("type")
        if type not in _INTERVALS:
            self.wrong((*path, "type"), f"is one of {', '.join(_INTERVALS)}, not {shown(type)}")
            return None
        for key in _INTERVALS[type]:
            if key not in fields:
                self.wrong((*path, key), "is required")
        behavior = fields.get("behavior", "RETRY_FAILED_TASK")
        if behavior not in ("RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"):
            self.wrong((*path, "behavior"), f"is RETRY_FAILED_TASK or CREATE_NEW_EXECUTION, not {shown(behavior)}")
        attempts = fields.get("maxAttempts", fields.get("maxAttempt"))
        first = _INTERVALS[type][0]
        least = self.duration(fields.get(first, "PT0S"), path)
        bounds = {key: self.duration(fields[key], path) for key in ("maxInterval", "maxDuration") if key in fields}
        for key, most in bounds.items():
            if most < least:
                self.wrong((*path, key), f"is not less than {first}")
        return Retry(
            type=type,
            interval=least,
            max_interval=bounds.get("maxInterval", least),
            factor=float(fields.get("delayFactor", 2)),
            max_attempts=None if attempts is None else int(attempts),
            max_duration=bounds.get("maxDuration"),
            warning=fields.get("warningOnRetry", False),
            behavior=behavior,
        )


_BRANCHES: Final = ("cases", "defaults")


def _ring(waiting: Mapping[str, set[str]]) -> list[str]:
    """Tasks of one ring: from any that waits, the first that it waits for, until one comes again."""
    seen: list[str] = []
    id = next(iter(waiting))
    while id not in seen:
        seen.append(id)
        id = min(waiting[id])
    return sorted(seen[seen.index(id) :])
