"""Pauses: ended by somebody, or by time."""

import pytest

from taskrpc.core.flow.advance.commands import check_resume, paused_runs
from taskrpc.core.flow.advance.events import Resumed
from taskrpc.core.flow.inputs import InvalidInputError
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import flow, flowable, log, value
from tests.unit.core.flow.runs import messages, outputs, ran


def test_a_pause_is_resumed_with_inputs() -> None:
    world = World()
    pause = flowable(
        "Pause", "p", value("v", "{{ outputs.p.onResume.who }}"), onResume=[{"id": "who"}], onPause=log("told")
    )
    execution = world.start(flow(pause, log("after")))
    world.settle()
    assert execution.states() == ["p PAUSED", "told SUCCESS"]
    (n,) = paused_runs(execution.state)
    with pytest.raises(InvalidInputError, match="who"):
        check_resume(execution.flow, execution.state, n, {}, world.now)
    values = check_resume(execution.flow, execution.state, n, {"who": "me"}, world.now)
    world.tell(execution, Resumed(world.now, n, values, "somebody"))
    world.tell(execution, Resumed(world.now, n, values))
    world.settle()
    assert execution.states() == ["p SUCCESS", "told SUCCESS", "v SUCCESS", "after SUCCESS"]
    assert outputs(execution, "v") == ["me"]
    with pytest.raises(ValueError, match="is not paused"):
        check_resume(execution.flow, execution.state, n, {}, world.now)


def test_a_pause_without_tasks_ends_without_running_again() -> None:
    execution = ran({"id": "p", "type": "core.flow.Pause", "pauseDuration": "PT1S"})
    assert [state for state, _ in execution.runs[0].history] == ["CREATED", "RUNNING", "PAUSED", "SUCCESS"]


def test_a_loop_until_that_pauses_can_be_resumed() -> None:
    world = World()
    loop = flowable(
        "LoopUntil",
        "loop",
        log("l"),
        condition="{{ outputs.loop.iterationCount == 2 }}",
        checkFrequency={"interval": "P1D"},
    )
    execution = world.start(flow(loop))
    world.settle(SECOND)
    world.tell(execution, Resumed(world.now, 1))
    world.settle()
    assert execution.state.head.state == "SUCCESS"
    assert world.now < execution.state.head.created + 90_000 * SECOND


@pytest.mark.parametrize(("behavior", "states"), [
    ("FAIL", ["p FAILED", "e SUCCESS", "f SUCCESS"]),
    ("CANCEL", ["p CANCELLED"]),
    ("WARN", ["p WARNING", "t SUCCESS", "f SUCCESS", "after SUCCESS"]),
])  # fmt: skip
def test_a_pause_ends_as_it_says(behavior: str, states: list[str]) -> None:
    more = {"pauseDuration": "PT1S", "behavior": behavior, "errors": [log("e")], "finally": [log("f")]}
    assert ran(flowable("Pause", "p", log("t"), **more), log("after")).states() == states


def test_a_pause_with_handlers_only_and_one_that_makes_no_sense() -> None:
    pause = {"id": "p", "type": "core.flow.Pause", "delay": "PT1S", "finally": [log("f")]}
    assert ran(pause).states() == ["p SUCCESS", "f SUCCESS"]
    assert "behavior is one of" in messages(ran({"id": "p", "type": "core.flow.Pause", "behavior": "{{ 'X' }}"}))[0]
