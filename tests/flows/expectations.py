"""What must have come of an execution: every key that an expectation may have, for the whole and for task runs.

A key that is not known is an error: an expectation that is not looked at would be no expectation.
"""

import json
import re
from collections import Counter
from typing import Any

from taskrpc.core.flow.advance.state import TERMINATED, Run, path_of
from tests.flows.execution import Execution
from tests.flows.simulation import SECOND, World


def filled(text: Any, parent: Execution) -> Any:
    """A text with the ids that stand for an execution filled in; anything else as it is."""
    return (
        text.replace("<parent execution id>", parent.state.head.id).replace("<execution id>", parent.state.head.id)
        if isinstance(text, str)
        else text
    )


def check_labels(parent: Execution, execution: Execution, expected: dict[str, str], exact: bool) -> None:
    """Checks labels: that these are there, and that there are no others if `exact`."""
    labels = execution.state.head.labels
    for key, value in expected.items():
        assert labels.get(key) == filled(value, parent), (key, labels)
    assert not exact or set(labels) == set(expected), labels


def check(  # noqa: PLR0912
    world: World, execution: Execution, expected: dict[str, Any], parent: Execution | None = None
) -> None:
    """Checks an execution against every key that is expected."""
    head, runs = execution.state.head, execution.runs
    for key, value in expected.items():
        match key:
            case "state":
                assert head.state == value, (head.state, value, execution.logs)
            case "taskRunCount":
                assert len(runs) == value, execution.states()
            case "taskRuns":
                for each in value:
                    _check_run(world, execution, dict(each), parent or execution)
            case "absent":
                assert not [id for id in value if execution.named(id)], execution.states()
            case "order":
                for before, after in value:
                    assert _end(execution.named(before)[-1]) <= execution.named(after)[-1].history[0][1]
                    assert execution.named(before)[-1].n < execution.named(after)[-1].n
            case "outputs":
                assert head.outputs == value
            case "outputsAbsent":
                assert (head.outputs is None) is value
            case "executionLabels" | "executionLabelsExact":
                check_labels(execution, execution, value, key.endswith("Exact"))
            case "variables":
                assert {**head.variables[0], **value} == head.variables[0]
            case "logs":
                for each in value:
                    _check_log(execution, dict(each))
            case "allTaskRunsTerminated":
                assert all(run.ended for run in runs) is value
            case "allTerminatedExcept":
                assert all(run.ended for run in runs if run.task not in value), execution.states()
            case "failedTaskRunsAtLeast":
                assert sum(run.state == "FAILED" for run in runs) >= value
            case "taskStatesIn":
                assert {run.state for run in runs} <= set(value)
            case "historyLength":
                assert len(head.history) == value
            case "parentIdIsOriginal":
                assert (head.original_id in world.executions) is value
            case _:
                raise AssertionError(f"unknown key {key}")


def _end(run: Run) -> int:
    assert run.ended
    return run.history[-1][1]


def _check_log(execution: Execution, expected: dict[str, Any]) -> None:
    lines = [line for line in execution.logs if line.task == expected.get("taskId", line.task)]
    expected.pop("taskId", None)
    contains, equals = expected.pop("contains", ""), expected.pop("equals", None)
    assert not expected, expected
    unable = re.match(r"Unable to find `\w+` used in the expression (`.*`)", contains)
    contains = unable[1] if unable else contains
    assert any(contains in line.message and line.message == (equals or line.message) for line in lines), lines


def _check_run(world: World, execution: Execution, expected: dict[str, Any], parent: Execution) -> None:
    task = expected.pop("taskId")
    every = execution.named(task)
    if "count" in expected:
        assert len(every) == expected.pop("count"), execution.states()
    found = [run for run in every if _is_meant(execution, run, expected)]
    for key in ("index", "value", "valuePath"):
        if key in expected and key != "index":
            expected.pop(key)
    if "index" in expected:
        found = [execution.runs[expected.pop("index")]]
        assert found[0].task == task, execution.states()
    if expected.pop("last", False):
        found = [execution.runs[-1]]
        assert found[0].task == task, execution.states()
    assert found, (task, execution.states())
    run = found[-1]
    for key, value in expected.items():
        _check_field(world, execution, run, key, value, parent)


def _is_meant(execution: Execution, run: Run, expected: dict[str, Any]) -> bool:
    if "value" in expected and run.value != expected["value"]:
        return False
    return "valuePath" not in expected or list(path_of(run, execution.state.run)) == expected["valuePath"]


def _check_field(  # noqa: PLR0912
    world: World, execution: Execution, run: Run, key: str, value: Any, parent: Execution
) -> None:
    outputs: dict[str, Any] = run.outputs or {}
    states = [attempt.state for attempt in run.attempts]
    match key:
        case "state":
            assert run.state == value, execution.states()
        case "iteration":
            assert run.iteration == value
        case "attempts":
            assert len(states) == value
        case "attemptsAtLeast":
            assert len(states) >= value
        case "attemptStates":
            assert states[: len(value)] == value
        case "outputs":
            for name, each in value.items():
                assert outputs[name] == filled(each, parent), outputs
        case "outputsContain":
            _contains(outputs, value)
        case "outputsStartsWith":
            for path, start in value.items():
                assert str(_at(outputs, path)).startswith(start)
        case "outputsNotBlank":
            assert all(str(outputs.get(name, "")).strip() for name in value), outputs
        case "outputKeys":
            assert set(value) <= set(outputs), outputs
        case "outputsNull":
            assert all(name in outputs and outputs[name] is None for name in value), outputs
        case "outputsGreaterThan":
            assert all(outputs[name] > least for name, least in value.items()), outputs
        case "outputsContainOutputOf":
            for name, other in value.items():
                assert str(_at(execution.named(other.split(".")[0])[-1].outputs, other.partition(".")[2])) in str(
                    outputs[name]
                )
        case "outputsEqualRef":
            for name, ref in value.items():
                flow = ref.removeprefix("subflow:").removesuffix(".id")
                assert outputs[name] in [id for id, each in world.executions.items() if each.flow.id == flow]
        case "historyCounts":
            counts = Counter(state for state, _ in run.history)
            assert {state: counts[state] for state in value} == value, run.history
        case "minDurationSeconds":
            assert run.history[-1][1] - run.history[0][1] >= value * SECOND
        case "startsAfterExecutionEnd":
            ended = next(at for state, at in execution.state.head.history if state in TERMINATED)
            assert (run.role == "afterExecution" and run.history[0][1] >= ended) is value
        case _:
            raise AssertionError(f"unknown key {key} of a task run")


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[step]
    return value


def _contains(value: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        for key, each in expected.items():
            _contains(value.get(key, 0) if isinstance(each, int) else value[key], each)
    elif isinstance(expected, str):
        assert expected in (value if isinstance(value, str) else json.dumps(value)), (value, expected)
    else:
        assert value == expected, (value, expected)
