"""What people do to executions: they kill, restart and replay them."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import (
    End,
    Killed,
    Restarted,
    Started,
)
from taskrpc.core.flow.advance.restart import can_restart, replay
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import flow, flowable, log, value, work
from tests.unit.core.flow.subflows import SUBFLOW, items_of, with_child


def test_a_kill_ends_everything_and_cancels_what_is_under_way() -> None:
    world = World([flow(work("deep"), id="child")])
    world.mute.add("company/work")
    pause = {"id": "p", "type": "core.flow.Pause"}
    execution = world.start(
        flow(flowable("Parallel", "all", work("w"), SUBFLOW, pause, log("l")), afterExecution=[log("a")])
    )
    world.settle(SECOND)
    world.tell(execution, Killed(world.now))
    world.tell(execution, Killed(world.now))
    world.settle()
    assert [state for state, _ in execution.state.head.history][-2:] == ["KILLING", "KILLED"]
    assert execution.states() == ["all KILLED", "w KILLED", "sub KILLED", "p KILLED", "l SUCCESS", "a SUCCESS"]
    assert {each.state.head.state for each in world.executions.values()} == {"KILLED"}
    assert not can_restart(execution.state)


def test_a_restart_does_failed_runs_again_and_nothing_else() -> None:
    world = World()
    broken = True
    world.executor = lambda _, task: ("FAILED", None, "no") if broken else ("SUCCESS", {}, None)
    block = flowable("Sequential", "s", log("first"), work("w"), log("second"), errors=[log("e")])
    loop = {
        "id": "each",
        "type": "core.flow.ForEach",
        "values": ["a", "b"],
        "concurrencyLimit": 2,
        "tasks": [value("x", "{{ taskrun.value }}"), block],
    }
    execution = world.start(flow(loop, log("last"), errors=[log("handled")], afterExecution=[log("after")]))
    world.settle()
    assert (execution.state.head.state, can_restart(execution.state)) == ("FAILED", True)
    broken = False
    world.tell(execution, Restarted(world.now))
    assert execution.state.head.state == "RESTARTED"
    assert execution.state.head.labels["system.restarted"] == "true"
    world.settle()
    assert execution.state.head.state == "SUCCESS"
    assert sorted(execution.states()) == sorted(
        ["each SUCCESS", "x[a] SUCCESS", "x[b] SUCCESS", "s[a] SUCCESS", "s[b] SUCCESS", "first[a] SUCCESS", "first[b] SUCCESS",
         "w[a] SUCCESS", "w[b] SUCCESS", "second[a] SUCCESS", "second[b] SUCCESS", "last SUCCESS", "after SUCCESS"]
    )  # fmt: skip
    assert [len(run.attempts) for run in execution.named("w")] == [2, 2]


def test_what_failed_as_a_whole_is_restarted_as_a_whole() -> None:
    world = World()
    dag = [
        {"task": log("a")},
        {
            "task": {"id": "i", "type": "core.flow.If", "condition": "{{ kv('k') }}", "then": [log("t")]},
            "dependsOn": ["a"],
        },
    ]
    directory = flowable("WorkingDirectory", "dir", work("w"))
    world.executor = lambda _, task: (
        ("SUCCESS", {}, None) if world.facts.ask("kv", "company.team", "k") else ("FAILED", None, None)
    )
    world.facts.learn(("kv", "company.team", "k"), None)
    execution = world.start(flow(directory, {"id": "d", "type": "core.flow.Dag", "tasks": dag}))
    world.settle()
    assert execution.states() == ["dir FAILED", "w FAILED"]
    world.facts.learn(("kv", "company.team", "k"), "yes")
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.states() == ["dir SUCCESS", "w SUCCESS", "d SUCCESS", "a SUCCESS", "i SUCCESS", "t SUCCESS"]


ONCE = "tasks: [{id: once, type: core.debug.Return, format: '{{ 1 / taskrun.attemptsCount }}'}]"


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ({}, ["SUCCESS"]),
        ({"restartBehavior": "NEW_EXECUTION"}, ["FAILED", "FAILED"]),
        ({"outputs": {"x": "{{ missing }}"}}, ["SUCCESS"]),
        ({"retry": {"type": "constant", "interval": "PT1S", "maxAttempts": 2}}, ["FAILED", "SUCCESS"]),
    ],
)
def test_a_restart_restarts_the_failed_subflow(more: dict[str, Any], ends: list[str]) -> None:
    world, execution = with_child(ONCE, **more)
    assert execution.states() == ["sub FAILED"]
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert [each.state.head.state for each in world.executions.values() if each is not execution] == ends
    assert execution.state.head.state == ("SUCCESS" if ends[-1] == "SUCCESS" and "outputs" not in more else "FAILED")


def test_a_restart_has_the_end_of_a_subflow_that_did_not_fail_told_again() -> None:
    world, execution = with_child("tasks: [{id: l, type: core.log.Log, message: hi}]", outputs={"x": "{{ missing }}"})
    world.tell(execution, Restarted(world.now))
    world.settle()
    (child,) = (each for each in world.executions.values() if each is not execution)
    assert execution.states() == ["sub FAILED"]
    assert len([action for action in child.actions if isinstance(action, End)]) == 1


def test_a_restart_restarts_the_failed_batches_only() -> None:
    world, execution = items_of("good\nonce\n", batch={"rows": 1})
    assert execution.states() == ["each FAILED", "each_split SUCCESS", "each_items FAILED"]
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.states() == ["each SUCCESS", *(f"each_{stage} SUCCESS" for stage in ("split", "items", "merge"))]
    assert (execution.runs[2].outputs or {})["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 2}
    assert [each.state.head.state for each in world.executions.values()] == ["SUCCESS"] * 3


def test_a_dag_goes_on_after_a_restart_where_it_was() -> None:
    world = World()
    world.facts.learn(("kv", "company.team", "k"), None)
    tasks = [
        {"task": log("a")},
        {"task": value("b", "{{ kv('k') }}"), "dependsOn": ["a"]},
        {"task": log("c"), "dependsOn": ["b"]},
    ]
    execution = world.start(flow({"id": "d", "type": "core.flow.Dag", "tasks": tasks}))
    world.settle()
    assert execution.states() == ["d FAILED", "a SUCCESS", "b FAILED"]
    world.facts.learn(("kv", "company.team", "k"), "yes")
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.states() == ["d SUCCESS", "a SUCCESS", "b SUCCESS", "c SUCCESS"]


def test_a_replay_begins_at_a_run_or_at_the_beginning() -> None:
    world = World()
    loop = {
        "id": "each",
        "type": "core.flow.ForEach",
        "values": ["a", "b"],
        "tasks": [value("x", "{{ taskrun.value }}"), value("y")],
    }
    execution = world.start(
        flow(value("first"), loop, value("last", "{{ outputs.x }}"), errors=[log("e")], labels={"l": "1"}),
        labels={"m": "2"},
    )
    world.settle()
    target = execution.named("y")[0]
    again = world.add(
        execution.flow, replay(execution.flow, execution.state, "again", world.now, target.n), Started(world.now)
    )
    assert [line for line in again.states() if "RESTARTED" in line] == ["y[a] RESTARTED"]
    assert [state for state, _ in again.state.head.history] == ["CREATED", "RUNNING", "SUCCESS", "RESTARTED"]
    world.settle()
    assert again.state.head.original_id == execution.state.head.id
    assert sorted(again.states()) == sorted(execution.states())
    assert again.named("first")[0].history == execution.named("first")[0].history
    assert replay(execution.flow, execution.state, "b", world.now).runs.keys() == {0}
    with pytest.raises(ValueError, match="there is no task run 99"):
        replay(execution.flow, execution.state, "c", world.now, 99)


def test_a_replay_begins_within_blocks_of_all_kinds() -> None:
    world = World()
    dag = {
        "id": "d",
        "type": "core.flow.Dag",
        "tasks": [
            {"task": value("a")},
            {"task": work("b"), "dependsOn": ["a"]},
            {"task": log("c"), "dependsOn": ["b"]},
        ],
    }
    loop = {"id": "each", "type": "core.flow.ForEach", "values": ["1", "2"], "concurrencyLimit": 0, "tasks": [dag]}
    execution = world.start(flow(loop, log("z")))
    world.settle()
    target = execution.named("b")[1]
    again = world.add(
        execution.flow, replay(execution.flow, execution.state, "again", world.now, target.n), Started(world.now)
    )
    world.settle()
    assert again.state.head.state == "SUCCESS"
    assert len(again.named("c")) == 2
    assert len(again.named("z")) == 1


def test_a_replay_begins_in_the_pass_of_a_loop_until_that_there_is() -> None:
    world = World()
    tasks = [value("a"), value("b", "{{ outputs.loop.iterationCount }}"), value("c")]
    rules = {"condition": "{{ outputs.b.value == '3' }}", "checkFrequency": {"interval": "PT1S"}}
    execution = world.start(flow(flowable("LoopUntil", "loop", *tasks, **rules)))
    world.settle()
    state = replay(execution.flow, execution.state, "again", world.now, execution.named("b")[0].n)
    again = world.add(execution.flow, state, Started(world.now))
    world.settle()
    assert again.states() == execution.states() == ["loop SUCCESS", "a SUCCESS", "b SUCCESS", "c SUCCESS"]


@pytest.mark.parametrize("target", ["e", "e2", "f", "f2", "after", "after2"])
def test_a_replay_from_a_handler_on_begins_all_of_them_anew_and_does_each_once(target: str) -> None:
    world = World()
    handlers = {
        "errors": [log("e"), log("e2")],
        "finally": [log("f"), log("f2")],
        "afterExecution": [log("after"), log("after2")],
    }
    fails = {"id": "fails", "type": "core.execution.Fail"}
    execution = world.start(flow(log("a"), flowable("Sequential", "s", log("b"), fails), **handlers))
    world.settle()
    state = replay(execution.flow, execution.state, "again", world.now, execution.named(target)[0].n)
    again = world.add(execution.flow, state, Started(world.now))
    world.settle()
    assert again.states() == execution.states()
    assert again.named("fails")[0].history == execution.named("fails")[0].history


@pytest.mark.parametrize("target", ["e", "deep", "f"])
def test_a_replay_from_the_handlers_of_a_block_within_goes_on_with_what_follows_the_block(target: str) -> None:
    world = World()
    fails = {"id": "fails", "type": "core.execution.Fail"}
    handlers = {"errors": [log("e"), flowable("Sequential", "under", log("deep"))], "finally": [log("f")]}
    inner = flowable("AllowFailure", "inner", log("a"), fails, **handlers)
    execution = world.start(flow(flowable("ForEach", "each", inner, log("z"), values=["1", "2"]), log("last")))
    world.settle()
    state = replay(execution.flow, execution.state, "again", world.now, execution.named(target)[0].n)
    again = world.add(execution.flow, state, Started(world.now))
    world.settle()
    assert sorted(again.states()) == sorted(execution.states())
