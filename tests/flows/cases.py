"""Cases: a folder each, with a flow and what must come of it; run in the simulated world.

A key that is not known is an error: an expectation that is not looked at would be no expectation.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from taskrpc.core.flow.advance.commands import check_resume
from taskrpc.core.flow.advance.events import Killed, Restarted, Resumed, Started
from taskrpc.core.flow.advance.restart import replay
from taskrpc.core.flow.advance.state import TERMINATED, Run, path_of
from taskrpc.core.flow.inputs import InvalidInputError
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow, parse_template
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.wire.yaml_reader import decode
from tests.flows.simulation import SECOND, Execution, World

_ABOUT = {"case", "kestra", "basis", "covers", "needs", "source", "notes", "flows"}


class Case:
    """One case: the folder is read, `run` runs it and raises AssertionError for what is not as expected."""

    def __init__(self, folder: Path) -> None:
        self.expected: dict[str, Any] = json.loads((folder / "expect.json").read_text())
        self.folder = folder
        self.world = World()

    def run(self) -> None:
        """Runs the case."""
        case = dict(self.expected)
        run = case.pop("run")
        for key in _ABOUT:
            case.pop(key, None)
        expect, derived, steps = case.pop("expect", {}), case.pop("derived", {}), case.pop("steps", [])
        if run.pop("mode", None) == "validate":
            self._validate(expect)
            return
        self._deploy()
        execution = self._start(run)
        for step in steps:
            execution = self._do(execution, dict(step))
        self.world.settle()
        check(self, execution, expect)
        check(self, execution, derived)
        for each in case.pop("subflows", []):
            self._check_subflow(execution, dict(each))
        for each in case.pop("others", []):
            self._check_others(execution, dict(each))
        assert not case, f"unknown keys: {', '.join(case)}"

    def _flow(self) -> Flow:
        return parse_flow(decode((self.folder / "flow.yaml").read_bytes()))

    def _validate(self, expect: dict[str, Any]) -> None:
        """The cause has to be named, in whatever words: the names in the expected text are those of the mistake."""
        with pytest.raises(InvalidFlowError) as refused:
            self._flow()
        for text in expect.pop("validationErrors"):
            names = re.findall(r"\[([^\]]*)\]|: ((?:task\w+|'\w+')(?:, \w+)*)$|'(\w+)'", text)
            wanted = [name for found in names for each in found for name in each.split(", ") if name]
            assert all(name.strip("'") in str(refused.value) for name in wanted), (wanted, str(refused.value))
        assert not expect, expect

    def _deploy(self) -> None:
        flows = [parse_flow(decode(file.read_bytes())) for file in self.folder.glob("subflow.*.yaml")]
        templates = {}
        for file in self.folder.glob("*.template.yaml"):
            namespace, id, tasks, all_tasks = parse_template(decode(file.read_bytes()))
            templates[namespace, id] = (tasks, all_tasks)
        self.world = World([self._flow(), *flows], templates)

    def _start(self, run: dict[str, Any]) -> Execution:
        files = {each["name"]: self.world.store(_content(each), ".txt") for each in run.pop("inputFiles", [])}
        inputs = {
            name: files[value[8:-1]] if isinstance(value, str) and value.startswith("<uri of ") else value
            for name, value in run.pop("inputs", {}).items()
        }
        flow = self.world.flows[run.pop("namespace"), run.pop("flowId")]
        checked = run.pop("inputsMode") == "checked"
        execution = self.world.start(flow, inputs, checked=checked, labels=run.pop("labels", {}))
        assert not run, f"unknown keys: {', '.join(run)}"
        return execution

    # -- steps --------------------

    def _do(self, execution: Execution, step: dict[str, Any]) -> Execution:
        expect = step.pop("expect", {})
        if "await" in step:
            state = step.pop("await")
            self.world.settle(stop=lambda: execution.state.head.state == state)
            assert execution.state.head.state == state, (execution.state.head.state, state)
        else:
            execution = getattr(self, "_" + step.pop("action").lower())(execution, step)
        if "sameExecutionId" in expect:
            assert expect.pop("sameExecutionId") is True
        check(self, execution, expect)
        assert not step, f"unknown keys: {', '.join(step)}"
        return execution

    def _resume(self, execution: Execution, step: dict[str, Any]) -> Execution:
        (run,) = [run for run in execution.named(step.pop("taskId")) if run.state == "PAUSED"]
        files = {name: self.world.store(text) for name, text in step.pop("files", {}).items()}
        inputs = {**step.pop("inputs", {}), **files}
        refusal = step.pop("expectError", None)
        if refusal is not None:
            with pytest.raises(InvalidInputError, match=refusal.rpartition(":")[2]):
                check_resume(execution.flow, execution.state, run.n, inputs, self.world.now)
            return execution
        values = check_resume(execution.flow, execution.state, run.n, inputs, self.world.now)
        self.world.tell(execution, Resumed(self.world.now, run.n, values))
        return execution

    def _restart(self, execution: Execution, _: dict[str, Any]) -> Execution:
        self.world.tell(execution, Restarted(self.world.now))
        return execution

    def _replay(self, execution: Execution, step: dict[str, Any]) -> Execution:
        target = execution.named(step.pop("taskId"))[-1].n if "taskId" in step else None
        state = replay(execution.flow, execution.state, "replayed", self.world.now, target)
        return self.world.add(execution.flow, state, Started(self.world.now))

    def _kill(self, execution: Execution, _: dict[str, Any]) -> Execution:
        self.world.tell(execution, Killed(self.world.now))
        return execution

    def _createmore(self, execution: Execution, step: dict[str, Any]) -> Execution:
        concurrency = execution.flow.concurrency
        assert concurrency is not None
        states = step.pop("expectStates")
        prefix = step.pop("expectHistoryPrefix", None)
        more = [self.world.start(execution.flow, admission=concurrency.behavior) for _ in range(step.pop("count"))]
        self.world.settle(SECOND // 10)
        if concurrency.behavior == "QUEUE":
            assert [each.state.head.state for each in more] == ["QUEUED"] * len(more)
            self.world.settle()
            for each in more:
                self.world.tell(each, Started(self.world.now))
        self.world.settle()
        assert [each.state.head.state for each in more] == states
        for each in more if prefix else []:
            assert [state for state, _ in each.state.head.history][: len(prefix)] == prefix
        return execution

    # -- other executions --------------------

    def _check_subflow(self, parent: Execution, expect: dict[str, Any]) -> None:
        id = expect.pop("flowId")
        found = [each for each in self.world.executions.values() if each.flow.id == id and each is not parent]
        assert found, f"no execution of {id}"
        last = found[-1]
        if "executions" in expect:
            assert len(found) == expect.pop("executions")
        if "stateCounts" in expect:
            assert Counter(each.state.head.state for each in found) == expect.pop("stateCounts")
        if "lastState" in expect:
            expect["state"] = expect.pop("lastState")
        if "firstTriggerIteration" in expect:
            assert (found[0].state.head.trigger or {})["taskRunIteration"] == expect.pop("firstTriggerIteration")
        for name, pattern in expect.pop("inputsMatch", {}).items():
            assert re.search(pattern, str(last.state.head.inputs[name]))
        for key, exact in (("labels", False), ("labelsExact", True)):
            if key in expect:
                _check_labels(parent, last, expect.pop(key), exact)
        for name, value in expect.pop("triggerVariables", {}).items():
            assert (last.state.head.trigger or {})[name] == _filled(value, parent)
        check(self, last, expect, parent)

    def _check_others(self, execution: Execution, expect: dict[str, Any]) -> None:
        assert expect.pop("flowId") == "<self>"
        expect.pop("note", None)
        states = Counter(
            each.state.head.state for each in self.world.executions.values() if each.flow is execution.flow
        )
        assert not Counter(expect.pop("statesContain")) - states, states
        assert not expect, expect


def _content(file: dict[str, Any]) -> str:
    if "content" in file:
        return str(file["content"])
    generator = file["generator"]
    assert "left-padded with spaces to width 20" in generator["format"]
    return "".join(f"{index:>20}{generator['lineSeparator']}" for index in range(generator["lines"]))


def _filled(text: Any, parent: Execution) -> Any:
    return (
        text.replace("<parent execution id>", parent.state.head.id).replace("<execution id>", parent.state.head.id)
        if isinstance(text, str)
        else text
    )


def _check_labels(parent: Execution, execution: Execution, expected: dict[str, str], exact: bool) -> None:
    labels = execution.state.head.labels
    for key, value in expected.items():
        assert labels.get(key) == _filled(value, parent), (key, labels)
    assert not exact or set(labels) == set(expected), labels


# -- expectations --------------------


def check(  # noqa: PLR0912
    case: Case, execution: Execution, expected: dict[str, Any], parent: Execution | None = None
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
                    _check_run(case, execution, dict(each), parent or execution)
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
                _check_labels(execution, execution, value, key.endswith("Exact"))
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
                assert (head.original_id in case.world.executions) is value
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


def _check_run(case: Case, execution: Execution, expected: dict[str, Any], parent: Execution) -> None:
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
        _check_field(case, execution, run, key, value, parent)


def _is_meant(execution: Execution, run: Run, expected: dict[str, Any]) -> bool:
    if "value" in expected and run.value != expected["value"]:
        return False
    return "valuePath" not in expected or list(path_of(run, execution.state.run)) == expected["valuePath"]


def _check_field(  # noqa: PLR0912
    case: Case, execution: Execution, run: Run, key: str, value: Any, parent: Execution
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
                assert outputs[name] == _filled(each, parent), outputs
        case "outputsContain":
            _contains(outputs, value)
        case "outputsStartsWith":
            for path, start in value.items():
                assert str(_at(outputs, path)).startswith(start)
        case "outputsNotBlank":
            assert all(str(outputs[name]).strip() for name in value)
        case "outputKeys":
            assert set(value) <= set(outputs), outputs
        case "outputsNull":
            assert all(outputs[name] is None for name in value)
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
                (id,) = [id for id, each in case.world.executions.items() if each.flow.id == flow]
                assert outputs[name] == id
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
