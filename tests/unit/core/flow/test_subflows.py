"""Subflows, alone and for each batch of a file."""

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import StartFlow
from taskrpc.core.flow.advance.subflows import child_ids
from tests.flows.execution import Execution
from tests.flows.simulation import World
from tests.unit.core.flow.flows import flow, log, value
from tests.unit.core.flow.runs import messages
from tests.unit.core.flow.subflows import SUBFLOW, items_of, with_child


def test_a_subflow_gives_its_outputs_and_its_state() -> None:
    text = """
        inputs: [{id: n, type: INT}, {id: d, defaults: "{{ inputs.n }}"}]
        tasks: [{id: t, type: core.debug.Return, format: "{{ trigger.taskId }} {{ inputs.n }}"}]
        outputs: [{id: o, value: "{{ outputs.t.value }}"}]
    """
    world, execution = with_child(text, inputs={"n": "{{ 1 + 1 }}", "extra": 1})
    (child,) = [each for each in world.executions.values() if each.flow.id == "child"]
    assert execution.runs[0].outputs == {
        "executionId": child.state.head.id,
        "state": "SUCCESS",
        "outputs": {"o": "sub 2"},
    }
    assert execution.logs[0].message == "the flow company.team.child has no input extra"


@pytest.mark.parametrize(
    ("text", "more", "state"),
    [
        ("tasks: [{id: f, type: core.execution.Fail}]", {}, "FAILED"),
        ("tasks: [{id: f, type: core.execution.Fail}]", {"transmitFailed": False}, "SUCCESS"),
        ("tasks: [{id: f, type: core.execution.Fail}]", {"transmitFailed": "{{ missing }}"}, "FAILED"),
        ("tasks: [{id: x, type: core.execution.Exit, state: WARNING}]", {}, "WARNING"),
        ("tasks: [{id: x, type: core.execution.Exit, state: CANCELLED}]", {}, "SUCCESS"),
        ("tasks: [{id: f, type: core.execution.Fail}]", {"wait": False}, "SUCCESS"),
        ("{tasks: [{id: l, type: core.debug.Return}], disabled: true}", {}, "FAILED"),
        ("{tasks: [{id: l, type: core.debug.Return}], inputs: [{id: n}]}", {}, "FAILED"),
        ("tasks: [{id: l, type: core.debug.Return}]", {"flowId": "other"}, "FAILED"),
        ("tasks: [{id: l, type: core.debug.Return}]", {"revision": 3, "outputs": {"x": "{{ missing }}"}}, "FAILED"),
        ("tasks: [{id: l, type: core.debug.Return}]", {"labels": {"l": "{{ missing }}"}}, "FAILED"),
    ],
)
def test_how_a_subflow_ends_its_task(text: str, more: dict[str, Any], state: str) -> None:
    _, execution = with_child(text, **more)
    assert execution.runs[0].state == state


def test_a_subflow_in_a_loop_knows_its_value() -> None:
    world = World([flow(value("t", "{{ trigger.taskRunValue }} {{ trigger.taskRunIteration }}"), id="child")])
    execution = world.start(flow({"id": "each", "type": "core.flow.ForEach", "values": ["a"], "tasks": [SUBFLOW]}))
    world.settle()
    (child,) = [each for each in world.executions.values() if each is not execution]
    assert child.runs[0].outputs == {"value": "a 0"}


def test_a_file_is_cut_into_batches_and_the_outputs_merged_in_order() -> None:
    world, execution = items_of("1\n2\n3\n")
    assert execution.states() == ["each SUCCESS", "each_split SUCCESS", "each_items SUCCESS", "each_merge SUCCESS"]
    merged = world.leaves.files[(execution.runs[3].outputs or {})["subflowOutputs"]]
    assert merged == '{"o": "1\\n2\\n"}\n{"o": "3\\n"}'
    assert (execution.runs[2].outputs or {})["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 2}


def test_a_batch_that_fails_fails_the_task_and_nothing_is_merged() -> None:
    _, execution = items_of("1\n2\nbad\n", errors=[log("e")])
    assert execution.states() == ["each FAILED", "each_split SUCCESS", "each_items FAILED", "e SUCCESS"]


def test_an_empty_file_is_no_batch_and_a_subflow_that_is_missing_fails_its_task() -> None:
    _, execution = items_of("")
    assert execution.states() == ["each SUCCESS", *(f"each_{stage} SUCCESS" for stage in ("split", "items", "merge"))]
    assert [run.outputs for run in execution.runs[2:]] == [None, None]
    assert items_of("1\n", flowId="other")[1].states()[-1] == "each_items FAILED"
    _, execution = items_of("x://", items="no uri")
    assert "items is the URI of a stored file" in messages(execution)[0]


def test_batches_need_not_be_waited_for() -> None:
    _, execution = items_of("bad\n", wait=False)
    assert execution.state.head.state == "SUCCESS"


def test_the_ids_of_subflows_are_those_of_their_runs() -> None:
    def started(execution: Execution) -> list[str]:
        return [action.id for action in execution.actions if isinstance(action, StartFlow)]

    _, execution = items_of("1\n2\n3\n")
    _, split, items, _ = execution.runs
    assert child_ids(split) == []
    assert child_ids(items) == started(execution) != []
    _, execution = with_child("tasks: [{id: say, type: core.log.Log, message: said}]")
    assert child_ids(execution.runs[0]) == started(execution) != []
