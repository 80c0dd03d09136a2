"""Cases: a folder each, with a flow and what must come of it; run in the simulated world.

A key that is not known is an error here, too.
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
from taskrpc.core.flow.inputs import InvalidInputError
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow, parse_template
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.wire.yaml_reader import decode
from tests.flows.execution import Execution
from tests.flows.expectations import check, check_labels, filled
from tests.flows.simulation import SECOND, World

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
        check(self.world, execution, expect)
        check(self.world, execution, derived)
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
            document: Any = decode(file.read_bytes())
            templates[document["namespace"], document["id"]] = parse_template(document)
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
        expect, before = step.pop("expect", {}), execution
        if "await" in step:
            state = step.pop("await")
            self.world.settle(stop=lambda: execution.state.head.state == state)
            assert execution.state.head.state == state, (execution.state.head.state, state)
        else:
            execution = getattr(self, "_" + step.pop("action").lower())(execution, step)
        if "sameExecutionId" in expect:
            assert (execution is before) is expect.pop("sameExecutionId")
        check(self.world, execution, expect)
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
                check_labels(parent, last, expect.pop(key), exact)
        for name, value in expect.pop("triggerVariables", {}).items():
            assert (last.state.head.trigger or {})[name] == filled(value, parent)
        check(self.world, last, expect, parent)

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
