"""The runner of cases notices wrong expectations of steps, of subflows, and of what is looked at meanwhile."""

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.flows.cases import Case

FLOW: Final = """\
id: case
namespace: company.team
tasks:
  - {id: pause, type: core.flow.Pause, onResume: [{id: who}]}
  - id: sub
    type: core.flow.Subflow
    namespace: company.team
    flowId: child
    inputs: {name: "{{ outputs.pause.onResume.who }}"}
    labels: {team: core}
  - {id: tell, type: core.debug.Return, format: "<{{ outputs.sub.executionId }}>"}
  - {id: not-now, type: core.execution.Fail, runIf: "{{ taskrun.attemptsCount == 0 }}"}
"""
CHILD: Final = """\
id: child
namespace: company.team
inputs: [{id: name}]
tasks: [{id: say, type: core.debug.Return, format: "{{ inputs.name }}"}]
"""
RIGHT: Final[dict[str, Any]] = {
    "steps": [
        {"await": "PAUSED", "expect": {"allTerminatedExcept": ["pause"], "absent": ["sub"]}},
        {"action": "resume", "taskId": "pause", "inputs": {}, "expectError": "Missing required input:who"},
        {"action": "resume", "taskId": "pause", "inputs": {"who": "me"}, "expect": {"sameExecutionId": True}},
        {"await": "FAILED"},
        {"action": "restart", "expect": {"state": "RESTARTED", "sameExecutionId": True}},
        {"await": "SUCCESS", "expect": {"historyLength": 9}},
        {"action": "replay", "taskId": "tell", "expect": {"state": "RESTARTED", "sameExecutionId": False}},
        {"await": "FAILED"},
    ],
    "expect": {
        "parentIdIsOriginal": True,
        "taskRuns": [
            {"taskId": "sub", "outputsEqualRef": {"executionId": "subflow:child.id"}},
            {"taskId": "tell", "outputsContainOutputOf": {"value": "sub.executionId"}},
        ],
    },
    "subflows": [
        {
            "flowId": "child",
            "executions": 1,
            "stateCounts": {"SUCCESS": 1},
            "state": "SUCCESS",
            "taskRunCount": 1,
            "inputsMatch": {"name": "^m.$"},
            "labels": {"team": "core"},
            "labelsExact": {"team": "core", "system.correlationId": "execution-1"},
            "triggerVariables": {"flowId": "case"},
        },
        {"flowId": "child", "lastState": "SUCCESS"},
    ],
    "others": [{"flowId": "<self>", "statesContain": ["SUCCESS", "FAILED"], "note": "the replay fails once more"}],
}
WRONG: Final[list[tuple[tuple[str | int, ...], Any]]] = [
    (("steps", 0, "await"), "FAILED"),
    (("steps", 0, "expect", "allTerminatedExcept"), []),
    (("steps", 1, "expectError"), "Missing required input:other"),
    (("steps", 2, "expect", "sameExecutionId"), False),
    (("steps", 5, "expect", "historyLength"), 8),
    (("steps", 6, "expect", "sameExecutionId"), True),
    (("steps", 6, "expect", "state"), "CREATED"),
    (("expect", "parentIdIsOriginal"), False),
    (("expect", "taskRuns", 0, "outputsEqualRef", "executionId"), "subflow:case.id"),
    (("expect", "taskRuns", 1, "outputsContainOutputOf", "value"), "sub.state"),
    (("subflows", 0, "flowId"), "other"),
    (("subflows", 0, "executions"), 2),
    (("subflows", 0, "stateCounts"), {"FAILED": 1}),
    (("subflows", 0, "state"), "FAILED"),
    (("subflows", 0, "taskRunCount"), 2),
    (("subflows", 0, "inputsMatch", "name"), "^x$"),
    (("subflows", 0, "labels", "team"), "other"),
    (("subflows", 0, "labelsExact"), {"team": "core"}),
    (("subflows", 0, "triggerVariables", "flowId"), "child"),
    (("subflows", 0, "firstTriggerIteration"), 0),
    (("subflows", 0, "nope"), 1),
    (("subflows", 1, "lastState"), "FAILED"),
    (("others", 0, "statesContain"), ["FAILED", "FAILED"]),
    (("others", 0, "nope"), 1),
    (("steps", 0, "nope"), 1),
    (("nope",), 1),
]
QUEUE: Final = """\
id: case
namespace: company.team
concurrency: {limit: 1, behavior: QUEUE}
tasks: [{id: sleep, type: core.flow.Sleep, duration: PT2S}]
"""
MORE: Final = {
    "action": "createMore", "count": 1, "expectStates": ["SUCCESS"],
    "expectHistoryPrefix": ["CREATED", "QUEUED", "RUNNING"],
}  # fmt: skip


def run(folder: Path, flow: str, expected: dict[str, Any]) -> None:
    (folder / "flow.yaml").write_text(flow)
    (folder / "subflow.child.yaml").write_text(CHILD)
    about = {"namespace": "company.team", "flowId": "case", "inputs": {}, "inputsMode": "checked"}
    (folder / "expect.json").write_text(json.dumps({"case": "own", "run": about, **expected}))
    Case(folder).run()


def test_right_expectations_of_steps_hold(tmp_path: Path) -> None:
    run(tmp_path, FLOW, RIGHT)


@pytest.mark.parametrize(("path", "value"), WRONG, ids=str)
def test_a_wrong_expectation_of_a_step_is_noticed(tmp_path: Path, path: tuple[str | int, ...], value: Any) -> None:
    expected: Any = copy.deepcopy(RIGHT)
    at = expected
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises((AssertionError, KeyError)):
        run(tmp_path, FLOW, expected)


@pytest.mark.parametrize(
    ("wrong", "holds"),
    [
        ({}, True),
        ({"expectStates": ["FAILED"]}, False),
        ({"expectHistoryPrefix": ["CREATED", "RUNNING"]}, False),
        ({"nope": 1}, False),
    ],
    ids=str,
)
def test_wrong_expectations_of_further_executions_are_noticed(tmp_path: Path, wrong: Any, holds: bool) -> None:
    expected = {"steps": [{"await": "RUNNING"}, {**MORE, **wrong}, {"await": "SUCCESS"}]}
    if holds:
        run(tmp_path, QUEUE, expected)
        return
    with pytest.raises(AssertionError):
        run(tmp_path, QUEUE, expected)


def test_a_killed_execution_is_killed(tmp_path: Path) -> None:
    steps = [{"await": "PAUSED"}, {"action": "kill"}, {"await": "KILLED"}]
    run(tmp_path, FLOW, {"steps": steps, "expect": {"state": "KILLED"}})
    with pytest.raises(AssertionError):
        run(tmp_path, FLOW, {"steps": steps, "expect": {"state": "SUCCESS"}})
