"""What goes on beside what follows it."""

# ruff: noqa: E501  (flows are easier to read so)

from tests.unit.core.flow.flows import fail, log, value, work
from tests.unit.core.flow.runs import outputs, ran


def test_what_is_started_apart_has_variables_and_outputs_of_its_own() -> None:
    seen = "{{ vars.v }} {{ outputs.before.value ?? '-' }} {{ outputs.inside.value ?? '-' }} {{ outputs.beside.value ?? '-' }}"
    execution = ran(
        value("before", "b"),
        {
            "id": "async", "type": "core.flow.StartAsync",
            "taskStart": [
                {"id": "own", "type": "core.execution.SetVariables", "variables": {"v": "own"}},
                value("inside", "i"), work("wait"), value("inner", seen),
            ],
            "onStarted": [value("beside", "s"), value("outer", seen)],
        },
        value("after", seen),
        variables={"v": "first"},
    )  # fmt: skip
    assert outputs(execution, "inner") == ["own b i -"]
    assert outputs(execution, "outer") == ["first b - s"]
    assert outputs(execution, "after") == ["first b - s"]
    assert execution.named("after")[0].history[0][1] < execution.named("inner")[0].history[0][1]


def test_an_execution_waits_for_what_was_started_apart_and_is_as_bad_as_that() -> None:
    execution = ran(
        {"id": "a", "type": "core.flow.StartAsync", "taskStart": [work("w"), fail("f")], "onStarted": [log("l")]},
        log("z"),
    )
    assert execution.states() == ["a SUCCESS", "a_start FAILED", "w SUCCESS", "l SUCCESS", "z SUCCESS", "f FAILED"]
    assert execution.state.head.state == "FAILED"


def test_what_has_nothing_to_start_fails_and_what_has_no_delay_goes_on_afterwards() -> None:
    nothing = {"id": "a", "type": "core.flow.StartAsync", "onStarted": [log("l")], "onFailed": [log("f")]}
    assert ran(nothing).states() == ["a SUCCESS", "f SUCCESS"]
    assert ran({"id": "a", "type": "core.flow.StartAsync"}).states() == ["a SUCCESS"]
    at_once = {"id": "a", "type": "core.flow.StartAsync", "taskStart": [fail("f")], "onStarted": [log("l")]}
    assert ran(at_once).states() == ["a SUCCESS", "a_start FAILED", "f FAILED", "l SUCCESS"]


def test_contexts_nest() -> None:
    inner = {
        "id": "b",
        "type": "core.flow.StartAsync",
        "taskStart": [value("c", "{{ outputs.x.value }}{{ outputs.y.value }}"), value("d", "{{ outputs.c.value }}")],
    }
    outer = {
        "id": "a",
        "type": "core.flow.StartAsync",
        "taskStart": [value("y", "y"), inner, value("e", "{{ outputs.c.value ?? '-' }}")],
    }
    execution = ran(value("x", "x"), outer)
    assert outputs(execution, "d") == ["xy"]
    assert outputs(execution, "e") == ["-"]
