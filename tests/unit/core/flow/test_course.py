"""How executions go: loops, branches, pauses, retries, nested contexts, variables, what a task sees."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.commands import check_resume, paused_runs
from taskrpc.core.flow.advance.events import Continued, Fired, Restarted, Resumed, SetTimer
from taskrpc.core.flow.advance.state import ROOT
from taskrpc.core.flow.inputs import InvalidInputError
from taskrpc.core.flow.parse import parse_template
from tests.flows.simulation import SECOND, Execution, World
from tests.unit.core.flow.flows import fail, flow, flow_of, flowable, log, value, work

RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}


def ran(
    *tasks: dict[str, Any], world: World | None = None, inputs: dict[str, Any] | None = None, **more: Any
) -> Execution:
    """A flow of these tasks, run to its end."""
    world = world or World()
    execution = world.start(flow(*tasks, **more), inputs)
    world.settle()
    return execution


def of(text: str, world: World | None = None, **inputs: Any) -> Execution:
    world = world or World()
    execution = world.start(flow_of(text), inputs)
    world.settle()
    return execution


def outputs(execution: Execution, task: str) -> list[Any]:
    return [(run.outputs or {}).get("value") for run in execution.named(task)]


def messages(execution: Execution, level: str = "ERROR") -> list[str]:
    return [line.message for line in execution.logs if line.level == level]


# -- loops --------------------


def test_values_of_a_loop_are_texts_each_once() -> None:
    execution = ran(
        {
            "id": "each",
            "type": "core.flow.ForEach",
            "values": '["a", 1, {"k": [2]}, "a"]',
            "tasks": [value("v", "{{ taskrun.value }}")],
        }
    )
    assert outputs(execution, "v") == ["a", "1", '{"k":[2]}']


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ('[1, null, {"a": [true]}]', "Found '1' null values on Each, with values=[1, null, {a=[true]}]"),
        ("{}", "the values are a list of at most"),
        ("nope", "the values are no JSON list"),
        ([1.5], "a value of a list in YAML is"),
        (7, "the values are a list"),
        ("{{ x }}", "Unable to find `x`"),
    ],
)
def test_a_loop_over_what_is_no_list_fails(values: Any, problem: str) -> None:
    execution = ran({"id": "each", "type": "core.flow.ForEach", "values": values, "tasks": [log("l")]})
    assert execution.states() == ["each FAILED"]
    assert problem in messages(execution)[0]


def test_a_loop_over_nothing_succeeds() -> None:
    assert ran({"id": "each", "type": "core.flow.ForEach", "values": [], "tasks": [log("l")]}).states() == [
        "each SUCCESS"
    ]


def test_a_limit_below_zero_fails() -> None:
    execution = ran({"id": "p", "type": "core.flow.Parallel", "concurrent": "{{ 0 - 1 }}", "tasks": [log("l")]})
    assert "a limit is 0 or more, not -1" in messages(execution)[0]


def test_many_values_are_started_in_portions() -> None:
    for kind, key in (("ForEach", "values"), ("EachParallel", "value")):
        loop = {
            "id": "each",
            "type": f"core.flow.{kind}",
            key: list(range(1200)),
            "concurrencyLimit": 0,
            "tasks": [value("v")],
        }
        if kind == "EachParallel":
            del loop["concurrencyLimit"]
        execution = ran(loop)
        assert len(execution.named("v")) == 1200


def test_a_loop_starts_as_many_sequences_as_it_may() -> None:
    world = World()
    loop = {
        "id": "each",
        "type": "core.flow.ForEach",
        "values": list(range(6)),
        "concurrencyLimit": 2,
        "tasks": [work("a"), log("b")],
    }
    execution = world.start(flow(loop))
    open_at_once = 0

    def count() -> bool:
        nonlocal open_at_once
        open_at_once = max(open_at_once, sum(not run.ended for run in execution.named("a")))
        return False

    world.settle(stop=count)
    assert open_at_once == 2
    assert len(execution.named("b")) == 6


def test_outputs_are_found_by_the_loop_values_around() -> None:
    execution = of(
        """
        tasks:
          - id: outer
            type: core.flow.ForEach
            values: [a, b]
            tasks:
              - id: inner
                type: core.flow.ForEach
                values: [1, 2]
                tasks:
                  - {id: x, type: core.debug.Return, format: "{{ parents[0].taskrun.value }}{{ taskrun.value }}{{ taskrun.iteration }}"}
                  - {id: y, type: core.debug.Return, format: "{{ currentEachOutput(outputs.x).value }} {{ outputs.x.a['1'].value }}"}
          - {id: all, type: core.debug.Return, format: "{{ outputs.x }} {{ outputs | keys }} {{ tasks.x.a['1'].state }} {{ tasks | length }}"}
          - {id: none, type: core.debug.Return, format: "{{ outputs.x.c ?? 'none' }} {{ parent ?? 'none' }} {{ currentEachOutput(outputs.x) is map }}"}
        """
    )
    assert outputs(execution, "y") == ["a10 a10", "a21 a10", "b10 a10", "b21 a10"]
    assert outputs(execution, "all")[0].startswith('{"a":{"1":{"value":"a10"},"2":{"value":"a21"}},"b":')
    assert outputs(execution, "all")[0].endswith('["x","y"] SUCCESS 5')
    assert outputs(execution, "none") == ["none none true"]


def test_a_task_sees_its_type_as_it_is_written() -> None:
    types = ["core.debug.Return", "io.kestra.plugin.core.debug.Return", "io.kestra.core.tasks.debugs.Return"]
    execution = ran(*({**value(f"v{n}", "{{ task.type }}"), "type": type} for n, type in enumerate(types)))
    assert [outputs(execution, f"v{n}")[0] for n in range(3)] == types


def test_what_a_task_sees() -> None:
    execution = of(
        """
        labels: {team.name: core}
        variables: {v: "{{ not rendered }}"}
        inputs: [{id: a.b, type: INT, defaults: 1}]
        tasks:
          - id: see
            type: core.debug.Return
            format: >-
              {{ flow.id }} {{ task.id }} {{ execution.id }} {{ execution.startDate }} {{ taskrun.attemptsCount }} {{ inputs.a.b }}
              {{ labels.team.name }} {{ envs.stage }} {{ trigger is defined }} {{ workerTaskrun is defined }} {{ taskrun.parentId is defined }}
              {{ workingDir }} {{ errorLogs() }} {{ tasksWithState('success') }} {{ kv('k') ?? 'none' }} {{ secret('s') ?? 'none' }}
              {{ kv('k', errorOnMissing=false) ?? 'nothing' }} {{ read('f') ?? 'no file' }} {{ fileExists('x://y') }} {{ fileURI('f') }}
              {{ currentEachOutput(1) }}
        """
    )
    assert execution.runs[0].outputs == {
        "value": "flow see execution-1 2026-02-02T02:40:00Z 0 1 core test false false false $WORKING_DIR [] [] none none nothing"
        " no file false namespace://company.team/f 1"
    }


@pytest.mark.parametrize("wrong", ["isFileEmpty('x://y')", "tasksWithState(1)", "currentEachOutput(1)"])
def test_what_cannot_be_answered_fails_the_task(wrong: str) -> None:
    loop = {"id": "each", "type": "core.flow.ForEach", "values": ["a"], "tasks": [value("v", "{{ " + wrong + " }}")]}
    assert ran(loop).state.head.state == "FAILED"


def test_a_file_can_be_asked_for() -> None:
    world = World()
    uri = world.store("text")
    empty = world.store("")
    execution = ran(
        value("v", f"{{{{ read('{uri}') }}}} {{{{ fileSize('{uri}') }}}} {{{{ isFileEmpty('{empty}') }}}}"), world=world
    )
    assert outputs(execution, "v") == ["text 4 true"]


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


# -- loops until --------------------


def test_a_loop_until_begins_anew_until_its_condition_holds() -> None:
    execution = of(
        """
        tasks:
          - id: loop
            type: core.flow.LoopUntil
            condition: "{{ outputs.count['values'].n == '3' }}"
            checkFrequency: {interval: PT10S}
            tasks:
              - {id: count, type: core.output.OutputValues, values: {n: "{{ outputs.loop.iterationCount }}", i: "{{ taskrun.iteration }}"}}
        """
    )
    assert execution.states() == ["loop SUCCESS", "count SUCCESS"]
    assert execution.named("count")[0].outputs == {"values": {"n": "3", "i": "2"}}
    assert [state for state, _ in execution.state.head.history].count("PAUSED") == 2


def test_a_loop_until_within_another_counts_its_passes_on_from_those_of_the_outer() -> None:
    rules = {"checkFrequency": {"interval": "PT1S"}}
    inner = flowable(
        "LoopUntil",
        "inner",
        value("n", "{{ outputs.inner.iterationCount }}"),
        value("i", "{{ taskrun.iteration }}"),
        condition="{{ outputs.n.value == '3' }}",
        **rules,
    )
    execution = ran(flowable("LoopUntil", "outer", inner, condition="{{ outputs.outer.iterationCount == 2 }}", **rules))
    assert (outputs(execution, "n"), outputs(execution, "i")) == (["3"], ["3"])
    assert [(run.task, run.iteration) for run in execution.runs] == [("outer", 1), ("inner", 3), ("n", 3), ("i", 3)]


@pytest.mark.parametrize(
    ("more", "state", "count"),
    [
        ({"checkFrequency": {"interval": "PT1S", "maxIterations": 2}}, "SUCCESS", 3),
        ({"checkFrequency": {"interval": "PT1S", "maxIterations": 2}, "failOnMaxReached": True}, "FAILED", 3),
        ({"checkFrequency": {"interval": "PT1S", "maxDuration": "PT3S"}, "failOnMaxReached": True}, "FAILED", 6),
        ({"checkFrequency": {"interval": "often{{ '' }}"}}, "FAILED", 1),
    ],
)
def test_a_loop_until_has_limits(more: dict[str, Any], state: str, count: int) -> None:
    execution = ran(flowable("LoopUntil", "loop", log("l"), condition="false", **more))
    assert (execution.runs[0].state, (execution.runs[0].outputs or {})["iterationCount"]) == (state, count)


def test_a_loop_until_that_is_restarted_has_its_longest_time_anew() -> None:
    world = World()
    rules = {"checkFrequency": {"interval": "PT1S", "maxDuration": "PT3S"}, "failOnMaxReached": True}
    execution = ran(flowable("LoopUntil", "loop", log("l"), condition="false", **rules), world=world)
    failed_at = world.now
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.runs[0].state == "FAILED"
    assert world.now > failed_at + 3 * SECOND


def test_a_loop_until_with_a_disabled_task_makes_one_pass() -> None:
    execution = ran(flowable("LoopUntil", "loop", log("l"), log("off", disabled=True), condition=False))
    assert execution.states() == ["loop SUCCESS", "l SUCCESS"]


# -- pauses --------------------


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


# -- retries --------------------


@pytest.mark.parametrize(
    ("retry", "attempts", "seconds"),
    [
        (RETRY, 3, 2),
        ({"type": "exponential", "interval": "PT1S", "maxInterval": "PT3S", "maxAttempts": 4}, 4, 6),
        ({"type": "constant", "interval": "PT1S", "maxDuration": "PT2.5S"}, 3, 2),
    ],
)
def test_a_failing_task_is_tried_again(retry: dict[str, Any], attempts: int, seconds: int) -> None:
    execution = ran(fail("f", retry=retry))
    run = execution.runs[0]
    assert (len(run.attempts), run.state, run.history[-1][1] - run.history[0][1]) == (
        attempts,
        "FAILED",
        seconds * SECOND,
    )


def test_a_random_delay_is_within_its_bounds() -> None:
    execution = ran(fail("f", retry={"type": "random", "minInterval": "PT1S", "maxInterval": "PT2S", "maxAttempts": 5}))
    delays = [action.after for action in execution.actions if isinstance(action, SetTimer)]
    assert len(delays) == 4
    assert all(SECOND <= delay <= 2 * SECOND for delay in delays)
    assert len(set(delays)) > 1


def test_handlers_start_before_the_retry_of_something_around_and_vanish_with_it() -> None:
    block = flowable(
        "Sequential", "s", fail("f"), retry=RETRY, errors=[work("e"), log("e2")], **{"finally": [log("x")]}
    )
    execution = ran(flowable("Sequential", "outer", block))
    assert [line for line in execution.states() if "outer" not in line] == [
        "s FAILED", "f FAILED", "e SUCCESS", "e2 SUCCESS", "x SUCCESS",
    ]  # fmt: skip
    assert [len(run.attempts) for run in execution.named("f")] == [3]
    assert execution.state.head.next > 10


def test_a_success_after_retries_may_be_a_warning() -> None:
    task = value("v", "{{ taskrun.attemptsCount == 1 ? 'ok' : missing }}", retry={**RETRY, "warningOnRetry": True})
    assert ran(task).states() == ["v WARNING"]


def test_a_run_that_is_skipped_when_it_is_done_again_has_an_attempt_for_it() -> None:
    world = World()
    once = fail("f", runIf="{{ taskrun.attemptsCount == 0 }}")
    execution = ran(once, log("after"), world=world)
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.states() == ["f SKIPPED", "after SUCCESS"]
    assert [attempt.state for attempt in execution.runs[0].attempts] == ["FAILED", "SKIPPED"]


@pytest.mark.parametrize("limit", [{"maxAttempts": 3}, {"maxDuration": "PT2.5S"}])
def test_a_new_execution_is_tried_as_often_or_as_long_as_is_said(limit: dict[str, Any]) -> None:
    world = World()
    retry = {"type": "constant", "interval": "PT1S", "behavior": "CREATE_NEW_EXECUTION", **limit}
    nested = flowable("Sequential", "s", fail("f", retry=retry))
    ran(nested, world=world)
    assert [each.state.head.state for each in world.executions.values()] == ["RETRIED", "RETRIED", "FAILED"]


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


# -- nested contexts --------------------


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
