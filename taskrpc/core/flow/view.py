"""Task runs as people see them."""

from collections.abc import Iterable, Mapping
from typing import Any

from taskrpc.core.flow.advance.context import id_of_run
from taskrpc.core.flow.advance.state import ROOT, Attempt, Run
from taskrpc.core.flow.durations import moment
from taskrpc.core.model import Resource
from taskrpc.core.timestamps import format_time


def run_number(execution_id: str, run_id: str) -> int | None:
    """The number of a task run of an execution by its id; None for an id of another form."""
    number = run_id.removeprefix(f"{execution_id}-")
    is_number = number != run_id and number.isascii() and number.isdigit() and len(number) < 10
    return int(number) if is_number else None


def shown_runs(execution_id: str, runs: Iterable[Run], errors: Mapping[int, str]) -> list[Resource]:
    """The task runs of an execution, in the order of their creation; `errors`: the last ones that runs have logged."""
    return [_shown(execution_id, run, errors.get(run.n)) for run in runs if run.n != ROOT]


def _shown(execution_id: str, run: Run, error: str | None) -> Resource:
    shown: Resource = {"id": id_of_run(execution_id, run.n), "taskId": run.task, "state": run.state}
    if run.parent != ROOT:
        shown["parentTaskRunId"] = id_of_run(execution_id, run.parent)
    shown["startDate"] = _time(run.history[0][1])
    optional = {
        "value": run.value,
        "iteration": run.iteration,
        "endDate": _time(run.history[-1][1]) if run.ended else None,
        "outputs": run.outputs,
        "error": {"message": error} if error is not None and run.state in ("FAILED", "WARNING", "RETRYING") else None,
    }
    shown |= {name: value for name, value in optional.items() if value is not None}
    return {**shown, "attempts": [_attempt(each) for each in run.attempts]}


def _attempt(attempt: Attempt) -> Resource:
    end: dict[str, Any] = {} if attempt.ended is None else {"endDate": _time(attempt.ended)}
    return {"state": attempt.state, "startDate": _time(attempt.started), **end}


def _time(microseconds: int) -> str:
    return format_time(moment(microseconds))
