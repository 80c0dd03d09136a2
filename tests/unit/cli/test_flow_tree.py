"""The tree of task runs in the terminal, and its lines elsewhere."""

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from taskrpc.cli.flow_tree import MOST_CHILDREN, is_over, lines_of, tree_of

START = "2027-01-31T09:00:00.000000Z"
NOW = datetime(2027, 1, 31, 9, 2, 5, tzinfo=UTC)


def run(n: int, task: str, state: str, parent: int | None = None, **further: Any) -> dict[str, Any]:
    ended = {} if state == "RUNNING" else {"endDate": "2027-01-31T09:00:01.500000Z"}
    above = {} if parent is None else {"parentTaskRunId": f"e-{parent}"}
    return {"id": f"e-{n}", "taskId": task, "state": state, "startDate": START, **ended, **above, **further}


def status(*runs: Any, state: str = "RUNNING", log: Any = ()) -> dict[str, Any]:
    meta = {"createdAt": START, "lastUpdated": "2027-01-31T09:00:02.000000Z"}
    done = "done" if state != "RUNNING" else "in-progress"
    resource = {"id": "e", "definition": "company.team.f", "status": done, "state": state, "meta": meta}
    return {"resource": resource, "taskRuns": list(runs), "log": list(log)}


def said(n: int, message: str) -> dict[str, Any]:
    return {"action": "awf.workflow/log", "action-params": {"taskRunId": f"e-{n}", "message": message}}


def drawn(status: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(tree_of(status, NOW))
    return console.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined, no-any-return]


def test_task_runs_stand_below_each_other_with_states_durations_and_what_they_said() -> None:
    runs = [
        run(1, "each", "RUNNING"),
        run(2, "say", "SUCCESS", 1, value="Hello"),
        run(3, "say", "RUNNING", 1, value="Bye", attempts=[{}, {}]),
    ]
    assert drawn(status(*runs, log=[said(2, "Hello, Ada"), {"action": "awf.workflow/due", "action-params": {}}])) == [
        "company.team.f  RUNNING  2 min 5 s",
        "└── each  RUNNING  2 min 5 s",
        "    ├── say [Hello]  SUCCESS  1.50 s",
        "    │   └── Hello, Ada",
        "    └── say [Bye] (attempt 2)  RUNNING  2 min 5 s",
    ]
    assert drawn(status(state="SUCCESS")) == ["company.team.f  SUCCESS  2.00 s"]


def test_of_many_task_runs_and_messages_the_first_are_shown_and_the_others_counted() -> None:
    runs = [run(n, "t", "SUCCESS" if n % 2 else "FAILED") for n in range(MOST_CHILDREN + 5)]
    lines = drawn(status(*runs, log=[said(0, f"line {n}") for n in range(7)]))
    assert lines[-1] == "└── … 5 more: 3 FAILED, 2 SUCCESS"
    assert lines[6:8] == ["│   ├── line 4", "│   └── … 2 more lines"]


def test_where_there_is_no_terminal_each_run_that_has_ended_is_told_once() -> None:
    told: set[str] = set()
    first = status(run(1, "a", "SUCCESS"), {"id": "e-2", "taskId": "b", "state": "CREATED"}, log=[said(1, "x")])
    assert list(lines_of(first, told)) == ["SUCCESS     1.50 s  a", "                      x"]
    second = status(run(1, "a", "SUCCESS"), {"id": "e-2", "taskId": "b", "state": "SKIPPED"})
    assert list(lines_of(second, told)) == ["SKIPPED             b"]
    assert list(lines_of(second, told)) == []


def test_an_execution_is_over_when_what_is_done_after_it_is() -> None:
    assert not is_over(status(run(1, "a", "SUCCESS")))
    assert not is_over(status(run(1, "a", "SUCCESS"), run(2, "after", "RUNNING"), state="SUCCESS"))
    assert is_over(status(run(1, "a", "SUCCESS"), run(2, "after", "FAILED"), state="SUCCESS"))
