"""What the inbox of an execution holds, as events; and task runs as people see them."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from taskrpc.core.flow.advance.events import (
    Began,
    Continued,
    Ended,
    Event,
    Fired,
    Killed,
    Restarted,
    Resumed,
    Started,
)
from taskrpc.core.flow.advance.state import Attempt, Run
from taskrpc.core.flow.durations import microseconds_of, moment
from taskrpc.core.flow.inbox import event_of, label_of
from taskrpc.core.flow.view import run_number, shown_runs

AT: Final = datetime(2030, 1, 2, 3, 4, 5, 6, UTC)
NOW: Final = microseconds_of(AT)
NOTHING: Final = dict.fromkeys(("body", "label", "outcome", "outcome_reason", "result", "error", "ending"))
OF: Final = {"run": 12, "attempt": 2}


def heard(kind: str, **columns: Any) -> Event | None:
    return event_of({**NOTHING, "kind": kind, "at": AT, "label": "say/12/2", **columns})


def test_times_are_exact_to_the_microsecond() -> None:
    assert moment(NOW) == AT


def test_labels_say_what_something_was_started_for() -> None:
    assert label_of("say", 12, 2) == "say/12/2"
    assert label_of("x" * 300, 1, 1, 7) == f"{'x' * 200}/1/1/7"


@pytest.mark.parametrize(
    ("kind", "columns", "event"),
    [
        ("workflow-init", {}, Started(NOW)),
        ("admitted", {}, Started(NOW)),
        ("task-begun", {}, Began(NOW, 12, 2)),
        ("task-begun", {"label": None}, None),
        ("task-lost", {}, Began(NOW, 12, 2)),
        ("timer", {"body": '{"run":1,"kind":"sleep","tag":3}'}, Fired(NOW, 1, "sleep", 3)),
        ("resumed", {"body": '{"run":1,"inputs":{"n":1},"by":"me"}'}, Resumed(NOW, 1, {"n": 1}, "me")),
        ("restarted", {}, Restarted(NOW)),
        ("ended", {}, Killed(NOW)),
        ("continue", {}, Continued(NOW)),
        ("done-here", {"body": '{"run":1,"attempt":2,"state":"SUCCESS"}'}, Ended(NOW, 1, 2, "SUCCESS")),
    ],
)  # fmt: skip
def test_each_kind_is_an_event(kind: str, columns: dict[str, Any], event: Event | None) -> None:
    assert heard(kind, **columns) == event


@pytest.mark.parametrize(
    ("columns", "state", "outputs", "message"),
    [
        ({"outcome": "succeeded"}, "SUCCESS", None, None),
        ({"outcome": "succeeded", "result": '{"made":1}'}, "SUCCESS", {"made": 1}, None),
        ({"outcome": "succeeded", "result": "[1]"}, "SUCCESS", {"value": [1]}, None),
        ({"outcome": "canceled"}, "KILLED", None, "the task was canceled"),
        ({"outcome": "failed"}, "FAILED", None, "failed"),
        ({"outcome": "failed", "outcome_reason": '{"message":"late"}'}, "FAILED", None, "late"),
        ({"outcome": "failed", "error": '"text"'}, "FAILED", None, "text"),
        ({"outcome": "failed", "error": '{"data":1}', "outcome_reason": '{"message":"r"}'}, "FAILED", None, "r"),
        ({"outcome": "failed", "error": '{"message":"m","data":{"outputs":1}}'}, "FAILED", None, "m"),
        ({"outcome": "failed", "error": '{"message":"m","data":{"outputs":{"c":1}}}'}, "FAILED", {"c": 1}, "m"),
    ],
)  # fmt: skip
def test_the_end_of_a_task_says_its_state_its_outputs_or_what_went_wrong(
    columns: dict[str, Any], state: str, outputs: Any, message: str | None
) -> None:
    assert heard("task-completed", **columns) == Ended(NOW, **OF, state=state, outputs=outputs, message=message)


def test_what_was_started_for_no_run_is_nothing_to_an_execution() -> None:
    assert heard("task-completed", label=None, outcome="succeeded") is None
    assert heard("workflow-completed", label=None, outcome="succeeded") is None


@pytest.mark.parametrize(
    ("columns", "state", "outputs", "message"),
    [
        ({"outcome": "canceled"}, "KILLED", {}, None),
        ({"outcome": "succeeded", "ending": '{"state":"WARNING","outputs":{"a":1}}'}, "WARNING", {"a": 1}, None),
        ({"outcome": "canceled", "ending": '{"state":"CANCELLED","asked":{"b":1}}'}, "CANCELLED", {"b": 1}, None),
        ({"outcome": "failed", "ending": '{"state":"FAILED","problem":"p"}'}, "FAILED", {}, "p"),
    ],
)
def test_the_end_of_a_subflow_says_its_state_and_what_it_gives_its_parent(
    columns: dict[str, Any], state: str, outputs: Any, message: str | None
) -> None:
    event = heard("workflow-completed", label="items/12/2/5", **columns)
    assert event == Ended(NOW, **OF, state=state, outputs=outputs, message=message, iteration=5)


def test_the_number_of_a_run_stands_in_its_id() -> None:
    assert run_number("e-1", "e-1-7") == 7
    for other in ("e-2-7", "e-1-x", "e-1-", "e-1", "e-1-1234567890"):
        assert run_number("e-1", other) is None


def test_runs_are_shown_with_their_ids_times_attempts_and_errors() -> None:
    root = Run(0, "", -1, "", 0, "RUNNING", [("CREATED", NOW)])
    each = Run(1, "each", 0, "tasks", 0, "RUNNING", [("CREATED", NOW), ("RUNNING", NOW)])
    leaf = Run(
        2, "say", 1, "tasks", 0, "FAILED", [("CREATED", NOW), ("FAILED", NOW + 1)], value="a", iteration=0,
        attempts=[Attempt("FAILED", NOW, NOW + 1), Attempt("RUNNING", NOW)], outputs={"x": 1},
    )  # fmt: skip
    shown_each, shown_leaf = shown_runs("e", [root, each, leaf], {1: "of a run that goes on", 2: "cannot"})
    began = "2030-01-02T03:04:05.000006Z"
    assert shown_each == {"id": "e-1", "taskId": "each", "state": "RUNNING", "startDate": began, "attempts": []}
    assert shown_leaf == {
        "id": "e-2", "taskId": "say", "state": "FAILED", "parentTaskRunId": "e-1", "startDate": began, "value": "a",
        "iteration": 0, "endDate": "2030-01-02T03:04:05.000007Z", "outputs": {"x": 1}, "error": {"message": "cannot"},
        "attempts": [
            {"state": "FAILED", "startDate": began, "endDate": "2030-01-02T03:04:05.000007Z"},
            {"state": "RUNNING", "startDate": began},
        ],
    }  # fmt: skip
