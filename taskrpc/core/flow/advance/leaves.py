"""The leaves that the server does itself, within the step."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.ends import allowed, end_with_ancestors, fail_leaf, leaf_ended
from taskrpc.core.flow.advance.events import SetTimer
from taskrpc.core.flow.advance.state import Run
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import parse_duration
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.expressions.values import is_truthy_text, text_of
from taskrpc.core.flow.model import Task
from taskrpc.core.flow.reading import LEVELS

Leaf = Callable[[Work, Run, Task, Rendering], None]


def _succeed(work: Work, run: Run, outputs: dict[str, Any] | None = None) -> None:
    leaf_ended(work, run, "SUCCESS", outputs)


def _log(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    messages = task.properties["message"]
    level = renders.text(task.properties.get("level", "INFO"))
    for message in messages if isinstance(messages, list) else [messages]:
        text = renders.text(text_of(message))
        if LEVELS.index(level) <= LEVELS.index(task.log_level or "TRACE"):
            work.log(run, level, text)
    _succeed(work, run)


def _return(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    written = task.properties.get("format")
    value = None if written is None else renders.text(text_of(written))
    _succeed(work, run, {"value": value})


def _echo(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    text = renders.text(text_of(task.properties.get("format")))
    work.log(run, renders.text(task.properties.get("level", "INFO")), text)
    _succeed(work, run)


def _fail(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    condition = task.properties.get("condition")
    if condition is not None and not renders.condition(text_of(condition)):
        _succeed(work, run)
    else:
        fail_leaf(work, run, renders.text(task.properties.get("errorMessage", "Task failure")))


def _exit(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    state = renders.text(task.properties.get("state", "SUCCESS"))
    state = "CANCELLED" if state == "CANCELED" else state
    if state not in ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"):
        raise ExpressionError(f"an execution cannot end as {state!r}")
    end_with_ancestors(work, run, allowed(task, state) if state == "FAILED" else state)


def _assert(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    conditions = task.properties["conditions"]
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if not is_truthy_text(renders.text(text_of(condition))):
            message = renders.text(task.properties.get("errorMessage", f"Assertion failed: {condition}"))
            fail_leaf(work, run, message)
            return
    _succeed(work, run)


def _set_variables(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    values = renders.document(task.properties["variables"])
    present = work.variables(run)
    taken = [name for name in values if name in present]
    if taken and not renders.condition(text_of(task.properties.get("overwrite", True))):
        raise ExpressionError(f"the variable {taken[0]!r} is set already, and `overwrite` is false")
    work.head.variables[run.context] = {**present, **values}
    _succeed(work, run)


def _unset_variables(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    names = renders.document(task.properties["variables"])
    present = dict(work.variables(run))
    lenient = renders.condition(text_of(task.properties.get("ignoreMissing", False)))
    for name in names if isinstance(names, list) else [names]:
        if present.pop(name, present) is present and not lenient:
            raise ExpressionError(f"there is no variable {name!r}")
    work.head.variables[run.context] = present
    _succeed(work, run)


def _output_values(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    _succeed(work, run, {"values": renders.document(task.properties["values"])})


def _sleep(work: Work, run: Run, task: Task, renders: Rendering) -> None:
    duration = parse_duration(renders.text(text_of(task.properties["duration"])))
    timeout = None if task.timeout is None else parse_duration(renders.text(task.timeout))
    work.enter(run, "RUNNING")
    if timeout is not None and timeout < duration:
        work.act(run, SetTimer(run.n, "timeout", len(run.attempts), timeout))
    else:
        work.act(run, SetTimer(run.n, "sleep", len(run.attempts), duration))


LEAVES: Final[Mapping[str, Leaf]] = {
    "Log": _log,
    "Return": _return,
    "Echo": _echo,
    "Fail": _fail,
    "Exit": _exit,
    "Assert": _assert,
    "SetVariables": _set_variables,
    "UnsetVariables": _unset_variables,
    "OutputValues": _output_values,
    "Sleep": _sleep,
}


def do_leaf(work: Work, run: Run, task: Task) -> None:
    """Does one of LEAVES; what cannot be rendered is a failure of the task."""
    renders = rendering(work, run)
    if task.kind != "Sleep":
        work.enter(run, "RUNNING")
    LEAVES[task.kind](work, run, task, renders)
