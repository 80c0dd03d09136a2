"""Loops: over values, and until a condition holds."""

# ruff: noqa: E501  (flows are easier to read so)

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import Restarted
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import flow, flowable, log, value, work
from tests.unit.core.flow.runs import messages, of, outputs, ran

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


@pytest.mark.parametrize("limit", [1, 2, 0])
def test_what_follows_a_loop_until_within_a_loop_is_done_once_for_each_value(limit: int) -> None:
    execution = of(
        f"""
        tasks:
          - id: each
            type: core.flow.ForEach
            values: [a, b]
            concurrencyLimit: {limit}
            tasks:
              - id: until
                type: core.flow.LoopUntil
                condition: "{{{{ outputs.until[taskrun.value].iterationCount == 3 }}}}"
                checkFrequency: {{interval: PT1S}}
                tasks: [{{id: n, type: core.debug.Return, format: "{{{{ taskrun.iteration }}}}"}}]
              - {{id: then, type: core.debug.Return, format: "{{{{ taskrun.value }}}}{{{{ taskrun.iteration }}}}"}}
        """
    )
    assert outputs(execution, "then") == ["a0", "b1"]
    assert [(run.value, run.iteration) for run in execution.named("until")] == [("a", 0), ("b", 1)]
    assert outputs(execution, "n") == ["2", "3"]
