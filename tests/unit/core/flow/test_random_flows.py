"""What holds for every flow: it ends, each run has one final state, and telling the same again gives the same."""

import copy
import os
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskrpc.core.flow.advance.events import Action, Event
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, Run, State
from taskrpc.core.flow.advance.step import advance, is_over
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from tests.flows.execution import Execution
from tests.flows.simulation import World

RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 2}
KINDS = (
    "Sequential",
    "Parallel",
    "AllowFailure",
    "If",
    "Switch",
    "ForEach",
    "EachParallel",
    "Dag",
    "LoopUntil",
    "Pause",
    "StartAsync",
)
LEAVES: Sequence[dict[str, Any]] = (
    {"type": "core.log.Log", "message": "{{ task.id }} {{ taskrun.value ?? '' }}"},
    {"type": "core.debug.Return", "format": "{{ outputs }} {{ parents }} {{ tasks }}"},
    {"type": "core.execution.Fail"},
    {"type": "core.execution.Fail", "condition": "{{ taskrun.value ?? 'b' == 'b' }}"},
    {"type": "core.flow.Sleep", "duration": "PT2S"},
    {"type": "core.execution.SetVariables", "variables": {"v": "{{ task.id }}"}},
    {"type": "company/work", "of": "{{ taskrun.id }} {{ uuid() }} {{ vars.v ?? '' }}"},
    {"type": "company/fails"},
    {"type": "company/fails", "timeout": "PT0S"},
    {"type": "core.execution.Exit", "state": "WARNING"},
)


@st.composite
def tasks(draw: st.DrawFn, depth: int, counter: list[int]) -> list[dict[str, Any]]:
    return [draw(task(depth, counter)) for _ in range(draw(st.integers(1, 3 if depth else 2)))]


@st.composite
def task(draw: st.DrawFn, depth: int, counter: list[int]) -> dict[str, Any]:
    counter[0] += 1
    made: dict[str, Any] = {"id": f"t{counter[0]}"}
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        made |= draw(st.sampled_from(LEAVES))
    else:
        made |= _flowable(draw, draw(st.sampled_from(KINDS)), depth - 1, counter)
        for name in ("errors", "finally"):
            if draw(st.integers(0, 3)) == 0:
                made[name] = draw(tasks(0, counter))
    for key, often, given_value in (
        ("disabled", 8, True),
        ("allowFailure", 6, True),
        ("runIf", 8, "false"),
        ("retry", 5, RETRY),
    ):
        if draw(st.integers(0, often)) == 0:
            made[key] = given_value
    return made


def _flowable(draw: st.DrawFn, kind: str, depth: int, counter: list[int]) -> dict[str, Any]:
    below = draw(tasks(depth, counter))
    made: dict[str, Any] = {"type": f"core.flow.{kind}"}
    match kind:
        case "If":
            return {**made, "condition": draw(st.sampled_from(["true", "false", "{{ missing }}"])), "then": below}
        case "Switch":
            return {**made, "value": draw(st.sampled_from(["a", "b"])), "cases": {"a": below}}
        case "StartAsync":
            return {**made, "taskStart": below, "onStarted": draw(tasks(0, counter))}
        case "Dag":
            wanted = [
                {"task": each, "dependsOn": [below[0]["id"]] if index else []} for index, each in enumerate(below)
            ]
            return {**made, "tasks": wanted, "concurrent": draw(st.integers(0, 2))}
        case "ForEach":
            made |= {"values": ["a", "b", "c"], "concurrencyLimit": draw(st.integers(0, 2))}
        case "EachParallel":
            made |= {"value": '["a", "b"]'}
        case "Parallel":
            made |= {"concurrent": draw(st.integers(0, 2))}
        case "LoopUntil":
            frequency = {"interval": "PT1S", "maxIterations": draw(st.integers(1, 3))}
            made |= {"condition": "false", "checkFrequency": frequency, "failOnMaxReached": draw(st.booleans())}
        case "Pause":
            made |= {"pauseDuration": "PT1S", "behavior": draw(st.sampled_from(["RESUME", "WARN", "FAIL", "CANCEL"]))}
    return {**made, "tasks": below}


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    counter = [0]
    lists: dict[str, Any] = {"tasks": draw(tasks(3, counter))}
    for name in ("errors", "finally", "afterExecution"):
        if draw(st.booleans()):
            lists[name] = draw(tasks(1 if name == "afterExecution" else 0, counter))
    if draw(st.integers(0, 4)) == 0:
        lists["retry"] = RETRY
    return parse_flow({"id": "random", "namespace": "company.team", **lists})


def run(flow: Flow, budget: int = 500) -> Execution:
    def executor(_: Execution, task: Any) -> Any:
        return ("FAILED", None, "cannot") if task.type == "company/fails" else ("SUCCESS", dict(task.params), None)

    world = World(executor=executor, budget=budget)
    execution = world.start(flow)
    world.settle()
    return execution


def final_states(run: Run) -> list[str]:
    return [state for state, _ in run.history if state in TERMINATED]


@settings(max_examples=25, deadline=None, derandomize="CI" in os.environ)
@given(flows())
def test_every_flow_ends_and_each_run_has_one_final_state(flow: Flow) -> None:
    execution = run(flow)
    assert is_over(execution.state), (execution.state.head, execution.states())
    assert len(final_states(execution.state.run(ROOT))) == 1
    for each in execution.runs:
        assert len(final_states(each)) == 1, each
    assert not execution.state.head.pauses
    assert execution.state.head.retrying == 0


@settings(max_examples=25, deadline=None, derandomize="CI" in os.environ)
@given(flows())
def test_nothing_runs_that_should_not(flow: Flow) -> None:
    execution = run(flow)
    for each in execution.runs:
        assert not flow.tasks[each.task].disabled if each.task in flow.tasks else each.role == "async"
    for parent in execution.state.runs.values():
        kind = flow.tasks[parent.task].kind if parent.task in flow.tasks else "Sequential"
        children = [execution.state.run(n) for n in execution.state.children(parent.n)]
        main = [child for child in children if parent.block is not None and child.role == parent.block.main]
        if kind in ("Sequential", "AllowFailure", "If", "Switch", "Flow"):
            assert "FAILED" not in [child.state for child in main[:-1]], execution.states()
        if kind in ("Sequential", "AllowFailure", "If", "Switch", "Flow") and not any(
            child.state == "FAILED" for child in main
        ):
            assert _went_astray(execution) or "errors" not in [child.role for child in children]


def _went_astray(execution: Execution) -> bool:
    """Whether something in it has failed, perhaps only for a while."""
    return any(len(run.attempts) > 1 for run in execution.runs) or execution.state.head.state != "SUCCESS"


def told_again(
    execution: Execution, events: list[Event], budget: int, sizes: random.Random
) -> tuple[State, list[Action]]:
    """The same events, in other portions, with a state that is loaded anew for each step."""
    state = copy.deepcopy(execution.first)
    actions: list[Action] = []
    facts = Facts({("environment",): {}})
    while True:
        portion = events[: sizes.randint(1, 4)]
        before = copy.deepcopy((state.head, state.runs))
        step = advance(execution.flow, state, portion, facts, budget)
        assert (state.head, state.runs) == before, "a step changes nothing itself"
        actions += step.actions
        events = events[step.taken :]
        state = State(state.head, copy.deepcopy(list(state.runs.values())))
        state.apply(step.changes)
        if not events and not step.more:
            return state, actions


@settings(max_examples=20, deadline=None, derandomize="CI" in os.environ)
@given(flows(), st.integers(1, 7), st.randoms(use_true_random=False))
def test_the_same_events_give_the_same_actions_however_they_are_cut(
    flow: Flow, budget: int, sizes: random.Random
) -> None:
    execution = run(flow)
    state, actions = told_again(execution, execution.told, budget, sizes)
    assert actions == execution.actions
    assert state.runs == execution.state.runs
    assert state.head == execution.state.head
