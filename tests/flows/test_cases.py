"""The runner of cases notices every wrong expectation, and refuses what it does not know."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.flows.cases import Case

FLOW: Final = """\
id: case
namespace: company.team
labels: {team: core}
variables: {v: 1}
inputs: [{id: name, type: STRING}]
tasks:
  - id: each
    type: core.flow.ForEach
    values: [a, b]
    tasks: [{id: say, type: core.debug.Return, format: "{{ taskrun.value }} {{ inputs.name }}"}]
  - {id: tell, type: core.log.Log, message: told}
outputs: [{id: said, value: "{{ outputs.say.a.value }}"}]
"""
RIGHT: Final[dict[str, Any]] = {
    "state": "SUCCESS",
    "taskRunCount": 4,
    "taskRuns": [
        {
            "taskId": "say",
            "valuePath": ["b"],
            "value": "b",
            "state": "SUCCESS",
            "count": 2,
            "iteration": 1,
            "attempts": 1,
        },
        {"taskId": "say", "index": 1, "outputs": {"value": "a x"}, "outputsContain": {"value": "a"}},
        {"taskId": "say", "outputsStartsWith": {"value": "b"}, "outputKeys": ["value"], "outputsNotBlank": ["value"]},
        {
            "taskId": "tell",
            "last": True,
            "attemptStates": ["SUCCESS"],
            "historyCounts": {"RUNNING": 1},
            "attemptsAtLeast": 1,
        },
    ],
    "absent": ["other"],
    "order": [["say", "tell"]],
    "outputs": {"said": "a x"},
    "executionLabels": {"team": "core"},
    "variables": {"v": 1},
    "logs": [{"taskId": "tell", "equals": "told"}, {"contains": "tol"}],
    "allTaskRunsTerminated": True,
    "taskStatesIn": ["SUCCESS"],
    "failedTaskRunsAtLeast": 0,
}
WRONG: Final[list[dict[str, Any]]] = [
    {"state": "FAILED"},
    {"taskRunCount": 5},
    {"absent": ["tell"]},
    {"order": [["tell", "say"]]},
    {"outputs": {"said": "b"}},
    {"outputsAbsent": True},
    {"executionLabels": {"team": "x"}},
    {"executionLabelsExact": {"team": "core"}},
    {"variables": {"v": 2}},
    {"logs": [{"taskId": "say", "equals": "told"}]},
    {"logs": [{"contains": "x"}]},
    {"logs": [{"matches": "told"}]},
    {"allTaskRunsTerminated": False},
    {"taskStatesIn": ["FAILED"]},
    {"failedTaskRunsAtLeast": 1},
    {"historyLength": 9},
    {"parentIdIsOriginal": False},
    {"nope": 1},
    *(
        {"taskRuns": [{"taskId": "say", **field}]}
        for field in (
            {"state": "FAILED"}, {"count": 1}, {"index": 0}, {"value": "c"}, {"valuePath": ["a", "b"]}, {"last": True},
            {"iteration": 0},
            {"attempts": 2}, {"attemptsAtLeast": 2}, {"attemptStates": ["FAILED"]}, {"outputs": {"value": "x"}},
            {"outputsContain": {"value": "y"}}, {"outputsStartsWith": {"value": "x"}}, {"outputKeys": ["other"]},
            {"outputsNull": ["value"]}, {"outputsGreaterThan": {"value": "z"}}, {"historyCounts": {"RUNNING": 2}},
            {"minDurationSeconds": 1}, {"startsAfterExecutionEnd": True}, {"nope": 1},
            {"outputsNotBlank": ["other"]},
        )
    ),
    {"taskRuns": [{"taskId": "other"}]},
]  # fmt: skip


def case(folder: Path, **more: Any) -> Case:
    (folder / "flow.yaml").write_text(FLOW)
    run = {"namespace": "company.team", "flowId": "case", "inputs": {"name": "x"}, "inputsMode": "checked"}
    (folder / "expect.json").write_text(json.dumps({"case": "own", "run": run, **more}))
    return Case(folder)


def test_right_expectations_hold(tmp_path: Path) -> None:
    case(tmp_path, expect=RIGHT).run()


@pytest.mark.parametrize("expected", WRONG, ids=json.dumps)
def test_a_wrong_expectation_is_noticed(tmp_path: Path, expected: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        case(tmp_path, expect=expected).run()


@pytest.mark.parametrize(
    "more",
    [
        {"nope": 1},
        {"derived": {"state": "FAILED"}},
        {"steps": [{"await": "PAUSED"}]},
        {"steps": [{"action": "kill", "nope": 1}]},
        {"subflows": [{"flowId": "other"}]},
        {"others": [{"flowId": "<self>", "statesContain": ["FAILED"]}]},
    ],
    ids=json.dumps,
)
def test_what_is_not_known_or_not_so_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        case(tmp_path, **more).run()


def test_a_flow_that_is_to_be_refused_is_not_right(tmp_path: Path) -> None:
    wrong = case(tmp_path, expect={"validationErrors": ["nope"]})
    wrong.expected["run"]["mode"] = "validate"
    with pytest.raises(pytest.fail.Exception):
        wrong.run()
