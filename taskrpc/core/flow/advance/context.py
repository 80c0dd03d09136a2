"""What the names in an expression mean, for one run: read only when they are used."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.state import ELSEWHERE, ROOT, Run
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import instant, moment
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.expressions.values import Absent, text_of

_ABSENT: Final = object()


def rendering(work: Work, run: Run, extra: Mapping[str, Any] | None = None) -> Rendering:
    """Renders for this run. What is random in it is the same whenever this attempt of this run is rendered."""
    seed = f"{work.head.id}/{run.n}/{len(run.attempts)}"
    return Rendering(Variables(work, run, extra or {}), moment(work.now), seed, Outside(work, run))


class Variables:
    """The names of an expression of a run."""

    def __init__(self, work: Work, run: Run, extra: Mapping[str, Any]) -> None:
        self._work = work
        self._run = run
        self._extra = extra

    def __getitem__(self, name: str) -> Any:
        if name in self._extra:
            return self._extra[name]
        read = _NAMES.get(name)
        value = _ABSENT if read is None else read(self._work, self._run)
        if value is _ABSENT:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except KeyError:
            return False
        return True


def _flow(work: Work, _: Run) -> Any:
    return {"id": work.flow.id, "namespace": work.flow.namespace, "revision": work.flow.revision, "tenantId": "main"}


def _task(work: Work, run: Run) -> Any:
    task = work.task(run)
    return {"id": task.id, "type": task.written_type or task.type}


def _execution(work: Work, _: Run) -> Any:
    head = work.head
    found = {"id": head.id, "state": head.state, "startDate": instant(head.created), "originalId": head.original_id}
    return found if head.outputs is None else {**found, "outputs": head.outputs}


def _taskrun(work: Work, run: Run) -> Any:
    found: dict[str, Any] = {"id": run_id(work, run), "startDate": instant(run.history[0][1])}
    found["attemptsCount"] = sum(1 for attempt in run.attempts if attempt.ended is not None)
    if run.parent > ROOT:
        found["parentId"] = run_id(work, work.run(run.parent))
    value = run.value
    if value is None and run.parent > ROOT and work.task(work.run(run.parent)).kind == "WorkingDirectory":
        value = work.run(run.parent).value
    found |= {} if value is None else {"value": value}
    return found if run.iteration is None else {**found, "iteration": run.iteration}


def run_id(work: Work, run: Run) -> str:
    """The id of a task run as others see it."""
    return id_of_run(work.head.id, run.n)


def id_of_run(execution_id: str, n: int) -> str:
    """The id of a task run, by that of its execution and its number."""
    return f"{execution_id}-{n}"


def _parents(work: Work, run: Run) -> Any:
    return list(_ancestors(work, run))


def _ancestors(work: Work, run: Run) -> Iterator[dict[str, Any]]:
    while run.parent > ROOT:
        run = work.run(run.parent)
        entry: dict[str, Any] = {}
        if run.value is not None:
            entry["taskrun"] = {"value": run.value}
        if run.outputs:
            entry["outputs"] = run.outputs
        if entry:
            yield entry


def _parent(work: Work, run: Run) -> Any:
    return next(_ancestors(work, run), _ABSENT)


def _worker_taskrun(work: Work, run: Run) -> Any:
    parent = work.run(run.parent) if run.parent > ROOT else None
    if parent is None or work.task(parent).kind != "WorkingDirectory":
        return _ABSENT
    return _taskrun(work, parent)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as maps in maps."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split(".")
        at = found
        for step in above:
            below = at.setdefault(step, {})
            at = below if isinstance(below, dict) else at
        at[last] = value
    return found


def _environment(name: str) -> Callable[[Work, Run], Any]:
    def read(work: Work, _: Run) -> Any:
        return (work.facts.ask("environment") or {}).get(name, {})

    return read


def _trigger(work: Work, _: Run) -> Any:
    return _ABSENT if work.head.trigger is None else work.head.trigger


_NAMES: Final[Mapping[str, Callable[[Work, Run], Any]]] = {
    "flow": _flow,
    "task": _task,
    "execution": _execution,
    "taskrun": _taskrun,
    "parents": _parents,
    "parent": _parent,
    "workerTaskrun": _worker_taskrun,
    "outputs": lambda work, run: ByTask(work, run, partial(_outputs, work)),
    "tasks": lambda work, run: ByTask(work, run, _state),
    "inputs": lambda work, run: _nested(work.head.inputs),
    "vars": lambda work, run: work.variables(run),
    "labels": lambda work, run: _nested(work.head.labels),
    "trigger": _trigger,
    "workingDir": lambda work, run: "$WORKING_DIR",
    "envs": _environment("envs"),
    "globals": _environment("globals"),
    "kestra": _environment("kestra"),
}

Read = Callable[[Run], Any]


def _outputs(work: Work, run: Run) -> Any:
    if run.outputs is ELSEWHERE:
        return work.facts.ask("outputs", str(run.n))
    return _ABSENT if run.outputs is None else run.outputs


def _state(run: Run) -> Any:
    return {"state": run.state}


class ByTask(Mapping[str, Any]):
    """Something of every run, by task, then by the loop values around it; each is looked up when it is asked for."""

    def __init__(self, work: Work, run: Run, read: Read, task: str | None = None, values: tuple[str, ...] = ()) -> None:
        self._work = work
        self._run = run
        self._read = read
        self._task = task
        self._values = values

    def __getitem__(self, key: str) -> Any:
        task = key if self._task is None else self._task
        values = () if self._task is None else (*self._values, key)
        run = self._work.found(task, values)
        found = _ABSENT if run is None or not self._sees(run) else self._read(run)
        below = ByTask(self._work, self._run, self._read, task, values)
        if any(value in below for value in self._work.below(task, values)):
            found = below
        if found is _ABSENT:
            raise KeyError(key)
        return found

    def _sees(self, run: Run) -> bool:
        """Whether the run's context is that of the reader, or was a part of what the reader's was copied from."""
        context = self._run.context
        while context != run.context:
            if context == ROOT:
                return False
            began = self._work.run(context)
            context = self._work.run(began.parent).context
            if context == run.context:
                return 0 < run.tick <= began.fixed["seen"] or (run.block is not None and run.n < began.n)
        return True

    def __iter__(self) -> Iterator[str]:
        if self._task is not None:
            return iter([key for key in self._work.below(self._task, self._values) if key in self])
        return iter([id for id in self._work.flow.tasks if id in self])

    def __contains__(self, key: object) -> bool:
        try:
            self[str(key)]
        except KeyError:
            return False
        return True

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _member(secret: str, key: str, name: str) -> Any:
    """A member of a secret that is a JSON object, as text; no message shows anything of the secret."""
    try:
        members = orjson.loads(secret)
    except orjson.JSONDecodeError:
        members = None
    if not isinstance(members, dict):
        raise ExpressionError(f"the secret `{key}` is not a JSON object, so it has no `{name}`")
    return text_of(members[name]) if name in members else Absent(hint=f"Unable to find `{name}` in secret `{key}`")


class Outside:
    """Answers the functions that look beyond the expression."""

    def __init__(self, work: Work, run: Run) -> None:
        self._work = work
        self._run = run

    def __call__(self, name: str, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return getattr(self, f"_{name}")(*values, **named)

    def _fact(self, what: str, *key: str) -> Any:
        found = self._work.facts.ask(what, *key)
        return Absent(hint=f"Unable to find {what} `{key[-1]}`") if found is None else found

    def _secret(self, key: str, namespace: str | None = None, subkey: str | None = None) -> Any:
        found = self._fact("secret", str(namespace or self._work.flow.namespace), str(key))
        return _member(found, str(key), str(subkey)) if subkey and not isinstance(found, Absent) else found

    def _kv(self, key: str, namespace: str | None = None, errorOnMissing: bool = True) -> Any:
        found = self._fact("kv", str(namespace or self._work.flow.namespace), str(key))
        return None if isinstance(found, Absent) and not errorOnMissing else found

    def _read(self, path: str, **_: Any) -> Any:
        return self._fact("read", str(path) if "://" in str(path) else self._fileURI(path))

    def _fileURI(self, path: str, **_: Any) -> str:
        return f"namespace://{self._work.flow.namespace}/{path}"

    def _fileSize(self, uri: str) -> Any:
        return self._fact("size", str(uri))

    def _fileExists(self, uri: str) -> bool:
        return not isinstance(self._fact("size", str(uri)), Absent)

    def _isFileEmpty(self, uri: str) -> bool:
        size = self._fileSize(uri)
        if isinstance(size, Absent):
            raise size.error()
        return bool(size == 0)

    def _errorLogs(self) -> list[dict[str, Any]]:
        return [*self._work.head.errors]

    def _currentEachOutput(self, outputs: Any) -> Any:
        for value in self._work.path(self._run):
            if not isinstance(outputs, Mapping) or value not in outputs:
                return Absent(hint=f"Unable to find the output of `{value}`")
            outputs = outputs[value]
        return outputs

    def _tasksWithState(self, state: str) -> list[dict[str, Any]]:
        if not isinstance(state, str):
            raise ExpressionError("tasksWithState needs the name of a state")
        runs = [self._work.run(n) for n in range(1, self._work.head.next) if self._work.exists(n)]
        wanted = [run for run in runs if run.state == state.upper()]
        return [{"taskId": run.task, "value": run.value, "state": run.state} for run in wanted]
