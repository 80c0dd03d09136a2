"""What an execution has done outside: tasks, working directories, subflows, files cut into batches; and what people do to it."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.commands import paused_runs
from taskrpc.core.flow.advance.events import (
    Began,
    CloseDirectory,
    End,
    Ended,
    EndTask,
    Killed,
    Restarted,
    Resumed,
    SetTimer,
    Started,
    StartFlow,
    StartTask,
)
from taskrpc.core.flow.advance.facts import Facts, MissingFactError
from taskrpc.core.flow.advance.restart import can_restart, replay
from taskrpc.core.flow.advance.state import ROOT, begin
from taskrpc.core.flow.advance.step import advance, is_over
from taskrpc.core.flow.advance.subflows import child_ids
from taskrpc.core.flow.graph import mermaid
from taskrpc.core.flow.triggers import Firing, fires
from tests.flows.simulation import NOON, SECOND, Execution, World
from tests.unit.core.flow.flows import fail, flow, flow_of, flowable, log, value, work

SUBFLOW = {"id": "sub", "type": "core.flow.Subflow", "namespace": "company.team", "flowId": "child"}


def messages(execution: Execution) -> list[str]:
    return [line.message for line in execution.logs if line.level == "ERROR"]


def with_child(text: str, **more: Any) -> tuple[World, Execution]:
    world = World([flow_of(text, "child")])
    execution = world.start(flow({**SUBFLOW, **more}, log("after")))
    world.settle()
    return world, execution


# -- tasks --------------------


def test_a_task_is_queued_with_its_params_rendered() -> None:
    world = World()
    execution = world.start(flow(work("w", a="{{ task.id }}", b={"c": ["{{ 1 }}", 2]}, timeout="PT1M")))
    world.settle()
    (started,) = [action for action in execution.actions if isinstance(action, StartTask)]
    assert (started.type, started.params, started.directory) == ("company/work", {"a": "w", "b": {"c": ["1", 2]}}, None)
    assert execution.runs[0].outputs == {"a": "w", "b": {"c": ["1", 2]}}
    assert [state for state, _ in execution.runs[0].history] == ["CREATED", "SUBMITTED", "RUNNING", "SUCCESS"]


def test_a_task_that_takes_too_long_is_ended_and_its_late_answer_left_alone() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(work("w", timeout="PT5S", allowFailure=True)))
    world.settle()
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    world.tell(execution, Began(world.now, 7, 1))
    assert execution.states() == ["w WARNING"]
    assert EndTask(1, 1) in execution.actions


def test_what_is_said_about_a_former_try_is_left_alone() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(work("w", retry={"type": "constant", "interval": "PT1S", "maxAttempts": 2})))
    world.settle(0)
    world.tell(execution, Ended(world.now, 1, 1, "FAILED", None, "no"))
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    assert execution.state.head.state == "RETRYING"
    world.settle(2 * SECOND)
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    world.tell(execution, Began(world.now, 1, 2))
    world.tell(execution, Began(world.now, 1, 2))
    world.tell(execution, Ended(world.now, 1, 2, "SUCCESS"))
    assert [attempt.state for attempt in execution.runs[0].attempts] == ["FAILED", "SUCCESS"]
    assert is_over(execution.state)


# -- working directories --------------------


DIRECTORY = flowable("WorkingDirectory", "dir", work("a"), log("b"), work("c"), **{"finally": [log("f")]})


def test_the_tasks_of_a_directory_are_done_where_it_is_until_it_is_closed() -> None:
    world = World()
    execution = world.start(flow(DIRECTORY))
    world.settle()
    tasks = [action for action in execution.actions if isinstance(action, StartTask)]
    assert [(task.type, task.directory) for task in tasks] == [
        ("core.flow.WorkingDirectory", None),
        ("company/work", 1),
        ("company/work", 1),
    ]
    assert [run.state for run in execution.runs] == ["SUCCESS"] * 5
    assert execution.runs[0].outputs == {"outputFiles": {}}


def test_a_directory_whose_executor_is_lost_starts_anew() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(DIRECTORY))
    world.settle(0)
    world.mute.clear()
    world.tell(execution, Began(world.now, 1, 1))
    world.settle()
    assert EndTask(2, 1) in execution.actions
    assert [run.n for run in execution.named("a")] == [3]
    assert execution.state.head.state == "SUCCESS"


def test_a_directory_that_fails_fails_its_task() -> None:
    world = World()
    execution = world.start(flow(DIRECTORY))
    world.settle(0)
    world.tell(execution, Ended(world.now, 1, 1, "FAILED"))
    world.settle()
    assert execution.runs[0].state == "FAILED"
    assert not [action for action in execution.actions if isinstance(action, CloseDirectory)]
    assert "the working directory has failed" in messages(execution)


# -- subflows --------------------


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


ITEMS = {
    "id": "each",
    "type": "core.flow.ForEachItem",
    "namespace": "company.team",
    "flowId": "child",
    "batch": {"rows": 2},
    "inputs": {"of": "{{ taskrun.items }}"},
}
CHILD = """
inputs: [{id: of}]
tasks:
  - {id: read, type: core.execution.Fail, condition: "{{ read(inputs.of) contains 'bad' }}"}
  - id: once
    type: core.execution.Fail
    condition: "{{ read(inputs.of) contains 'once' and taskrun.attemptsCount == 0 }}"
outputs: [{id: o, value: "{{ read(inputs.of) }}"}]
"""


def items_of(text: str, **more: Any) -> tuple[World, Execution]:
    world = World([flow_of(CHILD, "child")])
    execution = world.start(flow({**ITEMS, "items": world.store(text) if "://" not in text else text, **more}))
    world.settle()
    return world, execution


def test_a_file_is_cut_into_batches_and_the_outputs_merged_in_order() -> None:
    world, execution = items_of("1\n2\n3\n")
    assert execution.states() == ["each SUCCESS", "each_split SUCCESS", "each_items SUCCESS", "each_merge SUCCESS"]
    merged = world.files[(execution.runs[3].outputs or {})["subflowOutputs"]]
    assert merged == '{"o": "1\\n2\\n"}\n{"o": "3\\n"}'
    assert (execution.runs[2].outputs or {})["iterations"] == {"CREATED": 0, "RUNNING": 0, "SUCCESS": 2}


def test_a_batch_that_fails_fails_the_task_and_nothing_is_merged() -> None:
    _, execution = items_of("1\n2\nbad\n", errors=[log("e")])
    assert execution.states() == ["each FAILED", "each_split SUCCESS", "each_items FAILED", "e SUCCESS"]


def test_an_empty_file_and_a_subflow_that_is_missing() -> None:
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


# -- kill, restart, replay --------------------


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
    assert missing.value.key == ("secret", "s")
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
