"""What the inbox of an execution holds, as events that `advance` understands.

A task or subflow says by its label which run it was started for: `TASK/RUN/ATTEMPT`, or `TASK/RUN/ATTEMPT/ITERATION`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.events import Began, Continued, Ended, Event, Fired, Killed, Restarted, Resumed, Started
from taskrpc.core.flow.durations import microseconds_of
from taskrpc.core.model import Row

_LONGEST_NAME: Final = 200
_STATES: Final = {"succeeded": "SUCCESS", "failed": "FAILED", "canceled": "KILLED"}


def label_of(task: str, run: int, attempt: int, iteration: int | None = None) -> str:
    """The label of what is started for an attempt of a run."""
    turn = "" if iteration is None else f"/{iteration}"
    return f"{task[:_LONGEST_NAME]}/{run}/{attempt}{turn}"


def _subject(label: str | None) -> dict[str, Any] | None:
    """The run and the attempt that a label names, perhaps an iteration; None for what was started for no run."""
    if label is None:
        return None
    _, *numbers = label.split("/")
    return dict(zip(("run", "attempt", "iteration"), map(int, numbers), strict=False))


def event_of(row: Row) -> Event | None:
    """The event of a row of the inbox, joined with what it is about; None for what is nothing to the execution.

    Columns: `kind`, `at`, `body`; of what it is about `label`, `outcome`, `outcome_reason`, `result`, `error`, of an
    execution `ending`.
    """
    return _READ[row["kind"]](row, microseconds_of(row["at"]))


def _started(row: Row, at: int) -> Event:
    return Started(at)


def _began(row: Row, at: int) -> Event | None:
    subject = _subject(row["label"])
    return None if subject is None else Began(at, **subject)


def _task_ended(row: Row, at: int) -> Event | None:
    subject = _subject(row["label"])
    if subject is None:
        return None
    result = None if row["result"] is None else orjson.loads(row["result"])
    match row["outcome"]:
        case "succeeded":
            outputs = result if isinstance(result, Mapping) or result is None else {"value": result}
            return Ended(at, state="SUCCESS", outputs=outputs, **subject)
        case "failed":
            outputs, message = _failure(row)
            return Ended(at, state="FAILED", outputs=outputs, message=message, **subject)
    return Ended(at, state="KILLED", message="the task was canceled", **subject)


def _failure(row: Row) -> tuple[Mapping[str, Any] | None, str]:
    """The outputs that a failed task has made nevertheless, and why it failed."""
    error = None if row["error"] is None else orjson.loads(row["error"])
    reason = None if row["outcome_reason"] is None else orjson.loads(row["outcome_reason"])
    message = (reason or {}).get("message", "failed")
    if not isinstance(error, Mapping):
        return None, message if error is None else str(error)
    data = error.get("data")
    outputs = data.get("outputs") if isinstance(data, Mapping) else None
    return outputs if isinstance(outputs, Mapping) else None, str(error.get("message", message))


def _flow_ended(row: Row, at: int) -> Event | None:
    subject = _subject(row["label"])
    if subject is None:
        return None
    ending = {} if row["ending"] is None else orjson.loads(row["ending"])
    outputs = {**(ending.get("outputs") or {}), **(ending.get("asked") or {})}
    state = ending.get("state") or _STATES[row["outcome"]]
    return Ended(at, state=state, outputs=outputs, message=ending.get("problem"), **subject)


def _done_here(row: Row, at: int) -> Event:
    """A task that needed no executor: what the server has done itself, or what could not be started."""
    return Ended(at, **orjson.loads(row["body"]))


def _fired(row: Row, at: int) -> Event:
    return Fired(at, **orjson.loads(row["body"]))


def _resumed(row: Row, at: int) -> Event:
    return Resumed(at, **orjson.loads(row["body"]))


_READ: Final[Mapping[str, Callable[[Row, int], Event | None]]] = {
    "workflow-init": _started,
    "admitted": _started,
    "task-begun": _began,
    "task-lost": _began,  # a directory, which begins anew
    "task-completed": _task_ended,
    "workflow-completed": _flow_ended,
    "done-here": _done_here,
    "timer": _fired,
    "resumed": _resumed,
    "restarted": lambda row, at: Restarted(at),
    "ended": lambda row, at: Killed(at),
    "continue": lambda row, at: Continued(at),
}
