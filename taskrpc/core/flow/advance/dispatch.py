"""How a run starts: what its task says decides it once, and what was decided is kept."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.blocks import fixed_limit, pause
from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.ends import end, fail_leaf, failed
from taskrpc.core.flow.advance.events import SetTimer, StartTask
from taskrpc.core.flow.advance.leaves import LEAVES, do_leaf
from taskrpc.core.flow.advance.state import Attempt, Block, Run
from taskrpc.core.flow.advance.subflows import SubflowError, start_items, start_merge, start_split, start_subflow
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import parse_duration
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.expressions.values import json_text, text_of
from taskrpc.core.flow.model import Task

MOST_VALUES: Final = 100_000


def dispatch(work: Work, n: int) -> None:
    """Starts a run that was created, restarted, or is to be tried again."""
    if not work.exists(n) or work.run(n).ended:
        return
    run = work.edit(n)
    task = work.task(run)
    try:
        if not rendering(work, run).condition(task.run_if):
            run.attempts.append(Attempt("SKIPPED", work.now, work.now))
            end(work, run, "SKIPPED")
            return
    except ExpressionError as error:
        _cannot_be_decided(work, run, task, _located(task, error))
        return
    try:
        run.attempts.append(Attempt("RUNNING", work.now))
        _start(work, run, task)
    except ExpressionError as error:
        _cannot_start(work, run, task, _located(task, error))
    except (ValueError, SubflowError) as error:
        _cannot_start(work, run, task, f"task {task.id}: {error}")


def _located(task: Task, error: ExpressionError) -> str:
    """An error with the task, and with the key whose expression it is about."""
    keys = {"runIf": task.run_if, "timeout": task.timeout, **task.properties}
    key = next((f", key {name}" for name, value in keys.items() if _says(value, error.expression)), "")
    return str(error.located(f"task {task.id}{key}"))


def _says(value: Any, text: str | None) -> bool:
    match value:
        case Mapping():
            return any(_says(each, text) for each in value.values())
        case list() | tuple():
            return any(_says(each, text) for each in value)
        case _:
            return text is not None and value == text


def _cannot_be_decided(work: Work, run: Run, task: Task, message: str) -> None:
    """It cannot be told whether a run runs: it fails; within a working directory it is the directory that fails."""
    parent = work.edit(run.parent)
    if run.role != "tasks" or work.task(parent).kind != "WorkingDirectory":
        failed(work, run, message)
        return
    work.log(parent, "ERROR", message)
    work.remove(run.n)
    block = work.block(parent)
    block.current, block.open, block.failed, block.worst = None, 0, True, "FAILED"
    work.visit(parent.n)


def _cannot_start(work: Work, run: Run, task: Task, message: str) -> None:
    if task.kind in _FLOWABLE and task.kind != "WorkingDirectory":
        failed(work, run, message)
    else:
        fail_leaf(work, run, message)


def _start(work: Work, run: Run, task: Task) -> None:
    if task.kind in LEAVES:
        do_leaf(work, run, task)
    elif task.kind in _OUTSIDE:
        _OUTSIDE[task.kind](work, run, task)
    else:
        run.block = Block()
        if task.kind not in ("WorkingDirectory", "Pause"):
            work.enter(run, "RUNNING")
        _FLOWABLE[task.kind](work, run, task, rendering(work, run))


# -- what is done outside --------------------


def _start_task(work: Work, run: Run, task: Task) -> None:
    renders = rendering(work, run)
    params = {key: renders.document(value) for key, value in task.properties.items()}
    directory = run.parent if run.parent and work.task(work.run(run.parent)).kind == "WorkingDirectory" else None
    inside = directory if run.role == "tasks" else None
    work.enter(run, "SUBMITTED")
    work.act(run, StartTask(run.n, len(run.attempts), task.type, params, inside))
    if task.timeout is not None:
        timeout = parse_duration(renders.text(task.timeout))
        work.act(run, SetTimer(run.n, "timeout", len(run.attempts), timeout))


_OUTSIDE: Final[Mapping[str, Callable[[Work, Run, Task], None]]] = {
    "task": _start_task,
    "Subflow": start_subflow,
    "ItemsSplit": start_split,
    "Items": start_items,
    "ItemsMerge": start_merge,
}


# -- flowable tasks --------------------


def _plain(work: Work, run: Run, task: Task, _: Rendering) -> None:
    work.visit(run.n)


def _parallel(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    run.fixed = {"limit": fixed_limit(renders.text(text_of(task.properties.get("concurrent", 0))))}
    work.visit(run.n)


def _switch(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    value = renders.text(text_of(task.properties["value"]))
    matches = f"cases.{value}" in task.lists
    run.outputs = {"value": value, "defaults": not matches}
    _choose(
        work, run, task, f"cases.{value}" if matches else "defaults", f"no case for {value[:80]!r}, and no defaults"
    )


def _if(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    holds = renders.condition(text_of(task.properties["condition"]))
    run.outputs = {"evaluationResult": holds}
    _choose(work, run, task, "then" if holds else "else", None)


def _choose(work: Work, run: Run, task: Task, name: str, problem: str | None) -> None:
    work.block(run).main = name
    if problem is not None and not task.list_of(name):
        failed(work, run, f"task {task.id}: {problem}")
    elif not work.list_of(run, name):
        end(work, run, "SUCCESS")
    else:
        work.visit(run.n)


def _foreach(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    written = task.properties["values" if task.kind == "ForEach" else "value"]
    limit = task.properties.get("concurrencyLimit" if task.kind == "ForEach" else "concurrent")
    values = _values(renders, written)
    default = 1 if task.kind == "ForEach" else 0
    run.fixed = {"values": values, "limit": default if limit is None else fixed_limit(renders.text(text_of(limit)))}
    if values:
        work.visit(run.n)
    else:
        end(work, run, "SUCCESS")


def _values(renders: Rendering, written: Any) -> list[str]:
    """The values of a loop as text, each once."""
    values = written
    if isinstance(written, str):
        try:
            values = orjson.loads(renders.text(written))
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the values are no JSON list: {error}") from None
    elif isinstance(written, list):
        values = [_rendered_value(renders, each) for each in written]
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise ValueError(f"the values are a list of at most {MOST_VALUES}")
    if nulls := sum(value is None for value in values):
        raise ValueError(f"Found '{nulls}' null values on Each, with values={_java_text(values)}")
    return list(dict.fromkeys(value if isinstance(value, str) else json_text(value) for value in values))


def _java_text(value: Any) -> str:
    """A value as Java would print it, which is how the message has it that people look for."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}={_java_text(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_java_text, value)) + "]"
    return "null" if value is None else text_of(value)


def _rendered_value(renders: Rendering, value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        raise ValueError("a value of a list in YAML is text, a whole number or a map")
    return renders.document(value)


def _template(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    key = (renders.text(task.properties["namespace"]), renders.text(task.properties["templateId"]))
    run.fixed = {"template": key}
    if not work.template(*key)[0]:
        failed(work, run, f"Can't find flow template '{key[0]}.{key[1]}'")
        return
    run.outputs = {"args": renders.document(task.properties.get("args", {}))}
    work.visit(run.n)


def _loop_until(work: Work, run: Run, task: Task, _: Rendering) -> None:
    run.outputs = {"iterationCount": 1}
    work.visit(run.n)


def _pause(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    written = task.properties.get("pauseDuration", task.properties.get("delay"))
    behavior = renders.text(task.properties.get("behavior", "RESUME"))
    if behavior not in PAUSE_ENDS:
        raise ValueError(f"behavior is one of {', '.join(PAUSE_ENDS)}, not {behavior!r}")
    work.enter(run, "RUNNING")
    if written is not None:
        duration = parse_duration(renders.text(text_of(written)))
        work.act(run, SetTimer(run.n, f"pause {behavior}", len(run.attempts), duration))
    elif task.timeout is not None:
        timeout = parse_duration(renders.text(task.timeout))
        work.act(run, SetTimer(run.n, "pause FAIL", len(run.attempts), timeout))
    pause(work, run)
    for index, each in enumerate(work.list_of(run, "onPause")):
        work.create(each, run, "onPause", index)


PAUSE_ENDS: Final = {"RESUME": "SUCCESS", "WARN": "WARNING", "FAIL": "FAILED", "CANCEL": "CANCELLED"}


def _working_directory(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    params = {key: renders.document(value) for key, value in task.properties.items()}
    work.enter(run, "SUBMITTED")
    work.act(run, StartTask(run.n, len(run.attempts), task.type, params))


def _start_async(work: Work, run: Run, task: Task, _: Rendering) -> None:
    """`taskStart` begins in a context of its own; what follows waits for its first delay."""
    block = work.block(run)
    started = work.list_of(run, "taskStart")
    if not started:
        _go_on(work, run, "onFailed")
        return
    block.main = "onStarted"
    inner = Task(f"{task.id}_start", "core.flow.Sequential", "Sequential", {}, {"tasks": task.list_of("taskStart")})
    child = work.create(inner, run, "async", 0)
    child.context = child.n
    child.fixed = {"seen": work.head.ticks}
    work.head.variables[child.n] = dict(work.variables(run))
    work.head.detached.append(child.n)


def _go_on(work: Work, run: Run, name: str) -> None:
    work.block(run).main = name
    if work.list_of(run, name):
        work.visit(run.n)
    else:
        end(work, run, "SUCCESS")


_FLOWABLE: Final[Mapping[str, Callable[[Work, Run, Task, Rendering], None]]] = {
    "Sequential": _plain,
    "AllowFailure": _plain,
    "ForEachItem": _plain,
    "Parallel": _parallel,
    "Dag": _parallel,
    "Switch": _switch,
    "If": _if,
    "ForEach": _foreach,
    "EachSequential": _foreach,
    "EachParallel": _foreach,
    "Template": _template,
    "LoopUntil": _loop_until,
    "Pause": _pause,
    "WorkingDirectory": _working_directory,
    "StartAsync": _start_async,
}
