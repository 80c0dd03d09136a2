"""What decisions may say, and what is told about what they may not."""

from typing import Any

import pytest

from taskrpc.core.workflow import MOST_ACTIONS, Decision, End, Schedule, parse_decision
from taskrpc.errors import Mistake, TaskRpcError, invalid_params, mistakes_of

PREFIX = "awf.workflow.action/"


def schedule(kind: str = "task", key: str = "task-request", **request: Any) -> dict[str, Any]:
    return {"action": f"{PREFIX}schedule-{kind}", key: request}


def refused(result: object) -> list[tuple[str, str]]:
    """Paths and sentences of all mistakes."""
    with pytest.raises(TaskRpcError) as refusal:
        parse_decision(result)
    assert refusal.value.type == "invalid-params"
    mistakes = mistakes_of(refusal.value, "")
    assert refusal.value.message == f"{mistakes[0].path}: {mistakes[0].message}"
    return [(mistake.path, mistake.message) for mistake in mistakes]


@pytest.mark.parametrize("result", [
    None,
    [],
    {"action": f"{PREFIX}do-nothing"},
    [{"action": "do-nothing"}, {"action": f"{PREFIX}do-nothing", "comment": None}],
])  # fmt: skip
def test_nothing_is_a_decision(result: object) -> None:
    assert parse_decision(result) == Decision()


@pytest.mark.parametrize("kind", ["task", "workflow"])
@pytest.mark.parametrize("key", ["task-request", "workflow-request"])
def test_activities_are_requested_under_either_key(kind: Any, key: str) -> None:
    request = {"definition": "a/b", "label": "L", "params": {"x": [1, None]}}
    (found,) = parse_decision([schedule(kind, key, **request)]).schedules
    assert found == Schedule(kind, "a/b", "L", {"x": [1, None]}, f"result.0.{key}")


def test_one_action_stands_for_a_list_of_one() -> None:
    assert parse_decision(schedule(definition="a")).schedules == (
        Schedule("task", "a", None, None, "result.task-request"),
    )


def test_what_is_null_is_absent() -> None:
    action = {**schedule(definition="a", label=None, params=None), "workflow-request": None}
    assert parse_decision(action).schedules == (Schedule("task", "a", None, None, "result.task-request"),)
    assert parse_decision({"action": "complete-workflow", "result": None}).end == End(
        f"{PREFIX}complete-workflow", "succeeded", "result"
    )


def test_of_several_activities_with_one_label_it_is_the_first() -> None:
    labels = ["one", None, "two", "one", None, "two"]
    schedules = parse_decision([schedule(definition=str(n), label=label) for n, label in enumerate(labels)]).schedules
    assert [each.definition for each in schedules] == ["0", "1", "2", "4"]


@pytest.mark.parametrize(("action", "end"), [
    ({"action": "complete-workflow", "result": [1]}, End(f"{PREFIX}complete-workflow", "succeeded", "result", [1])),
    (
        {"action": "fail", "error": {"why": 1}},
        End(
            f"{PREFIX}fail", "failed", "result", None, {"why": 1},
            {"type": "awf.workflow/failed-by-executor", "message": "Failed by executor"},
        ),
    ),
    (
        {"action": "unknown-error"},
        End(
            f"{PREFIX}unknown-error", "failed", "result", None, None,
            {"type": "awf.executor/unknown-error", "message": "Unknown error"},
        ),
    ),
])  # fmt: skip
def test_a_workflow_ends_in_one_of_three_ways(action: object, end: End) -> None:
    assert parse_decision(action) == Decision((), end)


@pytest.mark.parametrize(("result", "mistakes"), [
    (7, [("result", "an action is a mapping with the key action, not 7")]),
    (["x"], [("result.0", 'an action is a mapping with the key action, not "x"')]),
    ({}, [("result.action", "is required")]),
    ({"action": None}, [("result.action", "is required")]),
    ([schedule(definition="a"), schedule()], [("result.1.task-request.definition", "is required")]),
    ({"action": "schedule-task"}, [("result.task-request", "is required")]),
    (
        {"action": "schedule-task", "task-request": 7},
        [("result.task-request", "a mapping is expected, not 7")],
    ),
    (
        schedule(definition=1, lable="x"),
        [
            ("result.task-request.definition", "text is expected, not 1"),
            ("result.task-request.lable", "is not known here"),
        ],
    ),
    (
        schedule(definition="", label="", params=[]),
        [
            ("result.task-request.definition", 'text that is not empty is expected, not ""'),
            ("result.task-request.label", 'text that is not empty is expected, not ""'),
            ("result.task-request.params", "a mapping is expected, not []"),
        ],
    ),
    (
        {**schedule(definition="a"), "workflow-request": {"definition": "b"}},
        [("result.workflow-request", "is not known here")],
    ),
    ({"action": "fail", "result": 1}, [("result.result", "is not known here")]),
    ({"action": "do-nothing", "x": 1}, [("result.x", "is not known here")]),
])  # fmt: skip
def test_every_mistake_is_told_with_its_path(result: object, mistakes: list[tuple[str, str]]) -> None:
    assert refused(result) == mistakes


@pytest.mark.parametrize("name", ["dance", f"{PREFIX}dance", 7, ["fail"], {}])
def test_an_unknown_action_is_told_with_those_that_there_are(name: object) -> None:
    ((path, message),) = refused([{"action": name}])
    assert path == "result.0.action"
    assert message.startswith("one of awf.workflow.action/schedule-task, awf.workflow.action/schedule-workflow, ")


def test_mistakes_of_all_actions_are_told_together() -> None:
    paths = [
        path for path, _ in refused([1, schedule(), {"action": "fail"}, {"action": "x"}, schedule(definition="a")])
    ]
    assert paths == ["result.0", "result.1.task-request.definition", "result.3.action", "result.4.task-request"]


def test_nothing_stands_beside_the_end_of_a_workflow() -> None:
    assert refused([schedule(definition="a"), {"action": "complete-workflow"}, {"action": "fail"}]) == [
        ("result.0.task-request", "the workflow ends with this decision, so nothing can be started"),
        ("result.2.action", "the workflow ends with another action of this list already"),
    ]


def test_the_number_of_actions_has_an_end() -> None:
    assert len(parse_decision([schedule(definition="a")] * MOST_ACTIONS).schedules) == MOST_ACTIONS
    assert refused([{"action": "do-nothing"}] * (MOST_ACTIONS + 1)) == [
        ("result", "at most 10000 actions are possible, not 10001")
    ]


def test_at_most_twenty_mistakes_are_listed() -> None:
    assert len(refused([7] * 30)) == 20


def test_another_refusal_is_a_mistake_of_the_value_that_caused_it() -> None:
    assert mistakes_of(TaskRpcError("definition-not-found", "no"), "result.definition") == [
        Mistake("result.definition", "no")
    ]
    assert mistakes_of(invalid_params("a", "b"), "c") == [Mistake("a", "b")]
