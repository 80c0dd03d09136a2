"""How executions begin, what they promise, and what starts because of them."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.commands import paused_runs
from taskrpc.core.flow.advance.events import (
    EndTask,
    Killed,
    Restarted,
    Resumed,
    SetTimer,
    Started,
    StartFlow,
)
from taskrpc.core.flow.advance.facts import Facts, MissingFactError
from taskrpc.core.flow.advance.restart import replay
from taskrpc.core.flow.advance.state import ROOT, begin
from taskrpc.core.flow.advance.step import advance
from taskrpc.core.flow.graph import mermaid
from taskrpc.core.flow.triggers import Firing, fires
from tests.flows.simulation import NOON, SECOND, World
from tests.unit.core.flow.flows import fail, flow, flowable, log, value, work
from tests.unit.core.flow.runs import messages
from tests.unit.core.flow.subflows import SUBFLOW

# -- the start, promises --------------------


@pytest.mark.parametrize(("admission", "state"), [("CANCEL", "CANCELLED"), ("FAIL", "FAILED"), ("QUEUE", "QUEUED")])
def test_an_execution_may_be_held_or_turned_away(admission: str, state: str) -> None:
    world = World()
    execution = world.start(flow(log("l")), admission=admission)
    world.settle()
    assert execution.state.head.state == state
    world.tell(execution, Started(world.now))
    assert execution.state.head.state == ("SUCCESS" if state == "QUEUED" else state)


@pytest.mark.parametrize(("admission", "state"), [("CANCEL", "CANCELLED"), ("FAIL", "FAILED"), ("QUEUE", "QUEUED")])
def test_a_replay_waits_until_it_may_begin(admission: Any, state: str) -> None:
    world = World()
    execution = world.start(flow(log("a"), log("b")))
    world.settle()
    again = world.add(execution.flow, replay(execution.flow, execution.state, "again", world.now, 2))
    world.settle()
    assert again.state.head.state == "RESTARTED"
    world.tell(again, Started(world.now, admission))
    assert again.state.head.state == state
    world.tell(again, Started(world.now))
    assert again.state.head.state == ("SUCCESS" if state == "QUEUED" else state)


def test_a_promise_counts_anew_where_an_execution_is_begun_again() -> None:
    world = World()
    sla = [{"id": "quick", "type": "MAX_DURATION", "duration": "PT1M", "behavior": "FAIL"}]
    execution = world.start(flow(log("a"), fail("b"), sla=sla))
    world.settle(600 * SECOND)
    again = world.add(execution.flow, replay(execution.flow, execution.state, "again", world.now, 1))
    for each, event in ((again, Started(world.now)), (execution, Restarted(world.now))):
        world.tell(each, event)
        timers = [action for action in each.actions if isinstance(action, SetTimer)]
        assert timers[-1] == SetTimer(ROOT, "sla quick", 0, 60 * SECOND)


def test_a_promise_that_is_not_kept_acts_once() -> None:
    sla = [
        {"id": "quick", "type": "MAX_DURATION", "duration": "PT1S", "behavior": "NONE", "labels": {"late": "yes"}},
        {"id": "short", "type": "MAX_DURATION", "duration": "PT2S", "behavior": "CANCEL"},
    ]
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(work("w"), sla=sla))
    world.settle()
    assert (execution.state.head.state, execution.state.head.labels["late"]) == ("CANCELLED", "yes")
    assert EndTask(1, 1) in execution.actions
    kept = [
        {
            "id": "state",
            "type": "EXECUTION_ASSERTION",
            "assert": "{{ outputs.v is defined ? outputs.v.value != 'bad' : true }}",
            "behavior": "FAIL",
        }
    ]
    execution = world.start(flow(value("v", "bad"), log("never"), sla=kept))
    world.settle()
    assert execution.states() == ["v SUCCESS"]
    assert execution.state.head.state == "FAILED"


def test_a_step_that_has_to_know_more_says_what_and_changes_nothing() -> None:
    read = flow(value("v", "{{ secret('s') }}"))
    state = begin(read, "e", NOON)
    with pytest.raises(MissingFactError) as missing:
        advance(read, state, [Started(NOON)])
    assert missing.value.key == ("secret", "company.team", "s")
    assert state.head.state == "CREATED"
    step = advance(read, state, [Started(NOON)], Facts({missing.value.key: "x"}))
    assert (step.changes.runs[1].outputs, step.taken, step.more) == ({"value": "x"}, 1, False)


def test_a_pause_of_an_ended_execution_cannot_be_resumed() -> None:
    world = World()
    execution = world.start(flow({"id": "p", "type": "core.flow.Pause"}))
    world.settle()
    assert paused_runs(execution.state) == [1]
    world.tell(execution, Killed(world.now))
    world.tell(execution, Resumed(world.now, 1))
    assert execution.states() == ["p KILLED"]


# -- triggers, pictures --------------------


@pytest.mark.parametrize(
    ("trigger", "started"),
    [
        ({}, True),
        ({"disabled": True}, False),
        ({"states": ["FAILED"]}, False),
        ({"conditions": [{"type": "core.condition.ExecutionStatus", "in": ["SUCCESS"], "notIn": ["FAILED"]}]}, True),
        ({"conditions": [{"type": "core.condition.ExecutionStatus", "notIn": ["SUCCESS"]}]}, False),
        ({"conditions": [{"type": "core.condition.ExecutionFlow", "namespace": "company.team", "flowId": "other"}]}, False),
        ({"conditions": [{"type": "core.condition.ExecutionNamespace", "namespace": "company", "prefix": True}]}, True),
        ({"conditions": [{"type": "core.condition.ExecutionNamespace", "namespace": "team", "comparison": "SUFFIX"}]}, True),
        ({"conditions": [{"type": "core.condition.ExecutionNamespace", "namespace": "company"}]}, False),
        ({"conditions": [{"type": "core.condition.ExecutionLabels", "labels": {"a": "b"}}]}, True),
        ({"conditions": [{"type": "core.condition.Expression", "expression": "{{ outputs.v.value == 'x' }}"}]}, True),
        ({"conditions": [{"type": "core.condition.Expression", "expression": "{{ missing }}"}]}, False),
    ],
)  # fmt: skip
def test_a_flow_is_started_by_what_became_of_another(trigger: dict[str, Any], started: bool) -> None:
    world = World()
    source = world.start(flow(value("v"), labels={"a": "b"}))
    world.settle()
    wanted = {
        "id": "t",
        "type": "core.trigger.Flow",
        "inputs": {"i": "{{ outputs.v.value }} {{ trigger.state }}"},
        **trigger,
    }
    listener = flow(log("l"), id="listener", triggers=[wanted])
    firing = fires(listener.triggers[0], listener, source.flow, source.state, Facts())
    assert (firing is not None) is started
    assert not started or (isinstance(firing, Firing) and firing.inputs == {"i": "x SUCCESS"})
    assert fires(listener.triggers[0], source.flow, source.flow, source.state, Facts()) is None


def test_a_flow_is_drawn() -> None:
    dag = {
        "id": "d",
        "type": "core.flow.Dag",
        "tasks": [{"task": log("a")}, {"task": log("b", disabled=True), "dependsOn": ["a"]}],
    }
    switch = {"id": "s", "type": "core.flow.Switch", "value": "x", "cases": {"x": [log("m")]}}
    assert mermaid(flow(dag, switch, flowable("Parallel", "p", log("q"), log("r")), errors=[log("e")])) == (
        'flowchart TD\n  subgraph n1["tasks"]\n    subgraph n2["d<br/>core.flow.Dag"]\n      subgraph n3["tasks"]\n'
        '        n4["a<br/>core.log.Log"]\n        n5["b<br/>core.log.Log (disabled)"]\n      end\n    end\n'
        '    subgraph n6["s<br/>core.flow.Switch"]\n      subgraph n7["case x"]\n        n8["m<br/>core.log.Log"]\n      end\n'
        '    end\n    subgraph n9["p<br/>core.flow.Parallel"]\n      subgraph n10["tasks"]\n        n11["q<br/>core.log.Log"]\n'
        '        n12["r<br/>core.log.Log"]\n      end\n    end\n  end\n  subgraph n13["errors"]\n    n14["e<br/>core.log.Log"]\n'
        "  end\n  n4 --> n5\n  n2 --> n6\n  n6 --> n9\n"
    )


def test_a_subflow_is_started_under_the_same_id_whenever_the_step_is_done() -> None:
    child = flow(log("l"), id="child")
    parent = flow(SUBFLOW)
    facts = Facts({("flow", "company.team", "child", ""): child})
    ids = set()
    for _ in range(2):
        step = advance(parent, begin(parent, "e", NOON), [Started(NOON)], facts)
        ids |= {action.id for action in step.actions if isinstance(action, StartFlow)}
    assert len(ids) == 1


@pytest.mark.parametrize("condition", ["{{ outputs.nope.x }}", "{{ 'AGEA' | base64decode }}"])
def test_a_promise_that_cannot_be_worked_out_is_not_kept(condition: str) -> None:
    world = World()
    promise = {"id": "p", "type": "EXECUTION_ASSERTION", "assert": condition, "behavior": "FAIL"}
    execution = world.start(flow(log("a"), sla=[promise]))
    world.settle()
    assert execution.state.head.state == "FAILED"
    assert messages(execution)[-1] == "the promise p is not kept"
