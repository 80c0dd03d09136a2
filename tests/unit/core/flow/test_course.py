"""How executions go: branches, leaves, the end."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import Continued, Fired
from taskrpc.core.flow.advance.state import ROOT
from taskrpc.core.flow.parse import parse_template
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import fail, flow, flowable, log, value, work
from tests.unit.core.flow.runs import messages, outputs, ran

RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}


# -- branches --------------------


def test_a_switch_without_a_match_fails_and_does_not_do_its_finally() -> None:
    execution = ran(
        {"id": "s", "type": "core.flow.Switch", "value": "x", "cases": {"a": [log("l")]}, "finally": [log("f")]}
    )
    assert execution.states() == ["s FAILED"]
    assert "no case for 'x', and no defaults" in messages(execution)[0]


def test_a_dag_starts_what_is_ready_as_many_as_it_may() -> None:
    tasks = [{"task": work(id), "dependsOn": needed} for id, needed in (("a", []), ("b", []), ("c", ["a", "b"]))]
    execution = ran({"id": "d", "type": "core.flow.Dag", "tasks": tasks, "concurrent": 1})
    a, b, c = (execution.named(id)[0] for id in "abc")
    assert a.history[-1][1] <= b.history[0][1] <= b.history[-1][1] <= c.history[0][1]


def test_a_template_is_done_in_place_with_its_arguments() -> None:
    inner = flowable(
        "Sequential", "inner", value("said", "{{ parent.outputs.args.who ?? 'nobody' }} {{ parents | length }}")
    )
    parsed = parse_template({"id": "t", "namespace": "n", "tasks": [inner, log("off", disabled=True)]})
    world = World(templates={("n", "t"): parsed})
    execution = ran(
        {"id": "use", "type": "core.flow.Template", "namespace": "n", "templateId": "t", "args": {"who": "you"}},
        world=world,
    )
    assert execution.states() == ["use SUCCESS", "inner SUCCESS", "said SUCCESS"]
    assert outputs(execution, "said") == ["you 1"]


# -- leaves --------------------


@pytest.mark.parametrize(
    ("task", "state", "message"),
    [
        ({"type": "core.execution.Assert", "conditions": ["{{ 1 == 1 }}", "false"]}, "FAILED", "Assertion failed: false"),
        ({"type": "core.execution.Assert", "conditions": "{{ true }}", "errorMessage": "x"}, "SUCCESS", None),
        ({"type": "core.execution.Exit", "state": "{{ 'X' }}"}, "FAILED", "an execution cannot end as 'X'"),
        ({"type": "core.execution.Exit", "state": "FAILED", "allowFailure": True}, "WARNING", None),
        ({"type": "core.execution.Exit", "state": "CANCELED"}, "CANCELLED", None),
        ({"type": "core.execution.UnsetVariables", "variables": ["x"]}, "FAILED", "there is no variable 'x'"),
        ({"type": "core.execution.UnsetVariables", "variables": "x", "ignoreMissing": True}, "SUCCESS", None),
        ({"type": "core.execution.SetVariables", "variables": {"v": 2}, "overwrite": False}, "FAILED", "the variable 'v' is set already"),
        ({"type": "core.execution.SetVariables", "variables": {"w": 2}, "overwrite": False}, "SUCCESS", None),
        ({"type": "core.flow.Sleep", "duration": "PT5S", "timeout": "PT1S"}, "FAILED", "Timeout after PT1S"),
        ({"type": "core.flow.Sleep", "duration": "PT1S", "timeout": "PT5S"}, "SUCCESS", None),
        ({"type": "core.execution.Fail", "condition": "{{ 1 == 2 }}"}, "SUCCESS", None),
        ({"type": "core.execution.Fail", "errorMessage": "no {{ task.id }}"}, "FAILED", "no x"),
        ({"type": "core.debug.Return", "runIf": "{{ missing }}"}, "FAILED", "Unable to find `missing`"),
        ({"type": "core.debug.Return", "runIf": "0"}, "SKIPPED", None),
    ],
)  # fmt: skip
def test_what_the_leaves_do(task: dict[str, Any], state: str, message: str | None) -> None:
    execution = ran({"id": "x", **task}, variables={"v": 1})
    assert execution.runs[0].state == state
    assert (message is None) == (not messages(execution))
    assert message is None or message in messages(execution)[0]


def test_lines_of_the_log_have_levels_and_may_be_held_back() -> None:
    execution = ran(
        log("a", ["x", 1], level="WARN"),
        log("b", level="INFO", logLevel="ERROR"),
        {"id": "c", "type": "core.debug.Echo", "format": "e"},
    )
    assert [(line.level, line.message) for line in execution.logs] == [("WARN", "x"), ("WARN", "1"), ("INFO", "e")]


def test_only_the_first_errors_are_kept_for_expressions() -> None:
    handlers = [value("v", "{{ errorLogs() | length }}")]
    execution = ran(*(fail(f"f{n}", allowFailure=True) for n in range(30)), fail("last"), errors=handlers)
    assert outputs(execution, "v") == ["25"]


# -- the end --------------------


@pytest.mark.parametrize(
    ("task", "place"),
    [
        (value("a", "{{ nothing }}"), "task a, key format: "),
        (log("a", ["x", "{{ nothing }}"]), "task a, key message: "),
        ({"id": "a", "type": "company/work", "of": {"x": "{{ nothing }}"}}, "task a, key of: "),
        ({**log("a"), "runIf": "{{ nothing }}"}, "task a, key runIf: "),
        ({"id": "a", "type": "core.execution.Exit", "state": "{{ 'LOST' }}"}, "task a: "),
    ],
)
def test_an_error_in_an_expression_names_the_task_and_the_key(task: dict[str, Any], place: str) -> None:
    assert messages(ran(task))[0].startswith(place)


def test_what_was_started_beside_an_execution_may_end_after_its_exit() -> None:
    beside = {"id": "a", "type": "core.flow.StartAsync", "taskStart": [work("w")], "onStarted": [log("l")]}
    execution = ran(beside, {"id": "x", "type": "core.execution.Exit", "state": "FAILED"})
    assert execution.state.head.state == "FAILED"
    assert "w SUCCESS" in execution.states()


def test_what_a_pass_of_a_loop_has_left_beside_it_is_not_waited_for() -> None:
    sleep = {"id": "s", "type": "core.flow.Sleep", "duration": "PT2S"}
    beside = {"id": "a", "type": "core.flow.StartAsync", "taskStart": [sleep], "onStarted": [log("l")]}
    passes = {"interval": "PT1S", "maxIterations": 2}
    execution = ran(flowable("LoopUntil", "loop", beside, condition="false", checkFrequency=passes))
    assert execution.state.head.state == "SUCCESS"
    assert execution.states().count("s SUCCESS") == 1


def test_an_output_that_cannot_be_rendered_fails_the_execution_unless_it_is_optional() -> None:
    wanted = [{"id": "a", "value": "{{ 1 }}", "type": "INT"}, {"id": "b", "value": "{{ x }}", "required": False}]
    assert ran(log("l"), outputs=wanted).state.head.outputs == {"a": 1}
    execution = ran(log("l"), outputs=[{"id": "a", "value": "x", "type": "INT"}])
    assert (execution.state.head.state, messages(execution)[0]) == ("FAILED", 'output a: "x" is not a whole number')


def test_nothing_that_is_done_afterwards_changes_the_state() -> None:
    pause = {"id": "p", "type": "core.flow.Pause", "pauseDuration": "PT1S"}
    execution = ran(
        log("l"),
        afterExecution=[fail("f"), pause, {"id": "x", "type": "core.execution.Exit", "state": "KILLED"}, log("never")],
    )
    assert execution.state.head.state == "SUCCESS"
    assert execution.states() == ["l SUCCESS", "f FAILED", "p SUCCESS", "x KILLED"]


def test_what_fails_fast_leaves_nothing_open_but_what_is_under_way() -> None:
    slow = flowable("Sequential", "s", flowable("Sequential", "deep", work("w"), log("never")))
    retried = flowable("Sequential", "r", fail("f", retry={**RETRY, "interval": "PT1H"}))
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(flowable("Parallel", "p", slow, retried, fail("now"))))
    world.settle(SECOND)
    assert execution.state.head.state == "FAILED"
    assert [run.task for run in execution.runs if not run.ended] == ["w"]


def test_what_a_pause_has_done_meanwhile_ends_with_the_execution() -> None:
    pause = {"id": "p", "type": "core.flow.Pause", "onPause": log("told")}
    execution = ran(flowable("Parallel", "both", pause, {"id": "x", "type": "core.execution.Exit", "state": "FAILED"}))
    assert execution.states() == ["both FAILED", "p FAILED", "x FAILED", "told FAILED"]


def test_a_template_may_be_used_twice_in_a_loop() -> None:
    parsed = parse_template({"id": "t", "namespace": "n", "tasks": [value("said", "{{ taskrun.id }}")]})
    world = World(templates={("n", "t"): parsed})
    uses = [{"id": id, "type": "core.flow.Template", "namespace": "n", "templateId": "t"} for id in ("one", "two")]
    execution = ran(flowable("LoopUntil", "l", *uses, condition="{{ outputs.l.iterationCount == 2 }}"), world=world)
    assert execution.states() == ["l SUCCESS", "one SUCCESS", "said SUCCESS", "two SUCCESS", "said SUCCESS"]


def test_a_timer_of_something_else_changes_nothing() -> None:
    world = World()
    execution = world.start(flow({"id": "p", "type": "core.flow.Pause"}))
    world.settle()
    for kind, tag in (("pause RESUME", 9), ("sleep", 1), ("timeout", 1), ("retry", 1), ("loop", 1)):
        world.tell(execution, Fired(world.now, 1, kind, tag))
    assert execution.states() == ["p PAUSED"]


def test_a_late_timer_changes_nothing() -> None:
    execution = ran(log("l"))
    for event in (Fired(0, 1, "retry", 1), Fired(0, 9, "retry", 1), Fired(0, ROOT, "sla gone", 0), Continued(0)):
        World().add(execution.flow, execution.state)
        world = World()
        world.tell(execution, event)
    assert execution.states() == ["l SUCCESS"]


def test_what_is_paused_meanwhile_is_forgotten_with_the_handlers_of_a_retry() -> None:
    block = flowable(
        "Sequential", "s", fail("f"), retry=RETRY, errors=[flowable("Sequential", "e", work("w"), log("l"))]
    )
    pause = flowable("Sequential", "q", work("v"), {"id": "p", "type": "core.flow.Pause", "pauseDuration": "PT5S"})
    execution = ran(flowable("Parallel", "both", block, pause))
    assert execution.state.head.state == "FAILED"
    assert [run.state for run in execution.named("e")] == ["SUCCESS"]
    held = flowable("Sequential", "s", fail("f"), retry=RETRY, errors=[{"id": "p", "type": "core.flow.Pause"}])
    world = World()
    execution = world.start(flow(held))
    world.settle(SECOND // 2)
    assert execution.state.head.state == "PAUSED"
    world.settle(SECOND)
    assert [len(run.attempts) for run in execution.named("f")] == [2]
    assert execution.state.head.pauses == [execution.named("p")[0].n]


def test_a_block_without_handlers_waits_for_the_retry_of_something_around() -> None:
    execution = ran(flowable("Sequential", "s", fail("f"), log("never")), retry=RETRY)
    assert execution.states() == ["s FAILED", "f FAILED"]
    assert len(execution.named("f")[0].attempts) == 3


def test_handlers_go_on_while_other_branches_end() -> None:
    execution = ran(
        flowable(
            "Parallel",
            "p",
            fail("f"),
            work("w"),
            errors=[{"id": "e", "type": "core.flow.Sleep", "duration": "PT1S"}, log("e2")],
        )
    )
    assert execution.states() == ["p FAILED", "f FAILED", "w SUCCESS", "e SUCCESS", "e2 SUCCESS"]


def test_an_exit_ends_what_was_created_beside_it_and_what_began_it() -> None:
    execution = ran(flowable("Parallel", "p", {"id": "x", "type": "core.execution.Exit", "state": "WARNING"}, log("l")))
    assert execution.states() == ["p WARNING", "x WARNING", "l WARNING"]
    apart = {
        "id": "a",
        "type": "core.flow.StartAsync",
        "taskStart": [work("w"), {"id": "x", "type": "core.execution.Exit"}],
        "onStarted": [log("l")],
    }
    execution = ran(apart, {"id": "z", "type": "core.flow.Sleep", "duration": "PT1H"})
    names = ("a", "a_start", "w", "l", "z", "x")
    assert execution.states() == [f"{name} SUCCESS" for name in names]
    assert execution.state.head.state == "SUCCESS"


def test_a_branch_that_is_not_there_a_template_that_is_missing_a_pause_that_takes_too_long() -> None:
    assert ran(
        {"id": "i", "type": "core.flow.If", "condition": False, "then": [log("t")], "finally": [log("f")]}
    ).states() == ["i SUCCESS"]
    missing = ran({"id": "t", "type": "core.flow.Template", "namespace": "n", "templateId": "x"})
    assert messages(missing) == ["Can't find flow template 'n.x'"]
    assert ran({"id": "p", "type": "core.flow.Pause", "timeout": "PT1S"}).states() == ["p FAILED"]


def test_a_task_in_a_directory_sees_the_value_of_the_directory() -> None:
    directory = flowable(
        "WorkingDirectory",
        "d",
        value("v", "{{ taskrun.value }} {{ workerTaskrun.value }}"),
        value("w", runIf="{{ missing }}"),
    )
    execution = ran({"id": "each", "type": "core.flow.ForEach", "values": ["a"], "tasks": [directory]})
    assert outputs(execution, "v") == ["a a"]
    assert execution.states() == ["each FAILED", "d[a] FAILED", "v[a] SUCCESS"]


def test_a_block_whose_tasks_are_all_disabled_succeeds_at_once() -> None:
    assert ran(flowable("Sequential", "s", log("l", disabled=True), errors=[log("e")])).states() == ["s SUCCESS"]


def test_a_handler_that_waits_for_its_own_retry_is_forgotten_too() -> None:
    patient = fail("e", retry={**RETRY, "interval": "PT1H"})
    execution = ran(flowable("Sequential", "s", fail("f"), retry={**RETRY, "maxAttempts": 2}, errors=[patient]))
    assert execution.states() == ["s FAILED", "f FAILED", "e FAILED"]
    assert execution.state.head.retrying == 0


def test_a_step_stops_when_it_has_started_enough() -> None:
    execution = ran(
        flowable("Parallel", "p", work("a"), work("b"), work("c")), log("l"), log("m"), world=World(budget=1)
    )
    assert execution.states() == ["p SUCCESS", "a SUCCESS", "b SUCCESS", "c SUCCESS", "l SUCCESS", "m SUCCESS"]
    assert execution.steps > 6
