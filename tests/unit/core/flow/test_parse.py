"""Flows are read from documents; whatever is wrong in them is told with its path."""

# ruff: noqa: E501  (tables)

from typing import Any, Final

import pytest

from taskrpc.core.flow.model import Retry
from taskrpc.core.flow.parse import parse_flow, parse_template
from taskrpc.core.flow.reading import FlowMistake, InvalidFlowError
from taskrpc.core.flow.types import short_name
from tests.unit.core.flow.flows import fail, flow, flow_of, flowable, log, work

LOG: Final = log("log")
PATH: Final = "tasks[0]"

WRONG_TASKS: Final[list[tuple[Any, str]]] = [
    (7, f"{PATH}: is a mapping, not 7"),
    ({"id": "x"}, f"{PATH}.type: is required"),
    ({"id": "x", "type": 1}, f"{PATH}.type: is text, not 1"),
    ({"type": "core.log.Log", "message": "x"}, f"{PATH}.id: is required"),
    (log("a b"), f"{PATH}.id: is made of letters"),
    (log("x", disabled="yes"), f"{PATH}.disabled: is true or false"),
    (log("x", mesage="y"), f"{PATH}.mesage: unknown property"),
    (log("x", level="LOUD"), f"{PATH}.level: is one of ERROR, WARN"),
    (log("x", message={}), f"{PATH}.message: is a list of texts"),
    (log("x", workerGroup={"key": "k"}), f"{PATH}.workerGroup: is not supported"),
    (log("x", timeout="soon"), f"{PATH}.timeout: 'soon' is not a duration"),
    (log("x", timeout="P200000D"), f"{PATH}.timeout: 'P200000D' is longer than a hundred years"),
    (log("x", "{{ 1 + }}"), f"{PATH}.message: line 1: a value is expected"),
    (log("x", runIf="{{ nope() }}"), f"{PATH}.runIf: line 1: there is no function nope"),
    (work("x", a={"b": ["{{ nope() }}"]}), f"{PATH}.a.b[0]: line 1: there is no function nope"),
    ({"id": "x", "type": "core.flow.Nope"}, f"{PATH}.type: there is no type core.flow.Nope"),
    ({"id": "x", "type": "io.kestra.core.Nope"}, f"{PATH}.type: there is no type io.kestra.core.Nope"),
    (flowable("Sequential", "x"), f"{PATH}.tasks: has at least one task"),
    ({"id": "x", "type": "core.flow.Sequential", "tasks": 1}, f"{PATH}.tasks: is a list, not 1"),
    (flowable("Parallel", "x", LOG, concurrent=-1), f"{PATH}.concurrent: is a whole number from 0 on"),
    (
        flowable("Parallel", "x", LOG, errors=[log("x")]),
        "tasks[0].id: the id x is not unique; tasks[0].errors[0] has it",
    ),
    ({"id": "x", "type": "core.flow.Switch", "value": "a"}, f"{PATH}: has no task in its cases, nor in its defaults"),
    ({"id": "x", "type": "core.flow.Switch", "value": {}, "defaults": [LOG]}, f"{PATH}.value: is text, a number or"),
    (
        flowable("Dag", "x", {"task": LOG, "dependsOn": ["y"]}),
        f"{PATH}.tasks[0].dependsOn[0]: there is no task y in this Dag",
    ),
    (flowable("Dag", "x", {"dependsOn": []}), f"{PATH}.tasks[0].task: is required"),
    (
        flowable(
            "Dag", "x", *({"task": log(a), "dependsOn": b} for a, b in (("a", "b"), ("b", "a"), ("c", "a"), ("d", [])))
        ),
        f"{PATH}.tasks: tasks depend on each other in a ring: a, b",
    ),
    (
        {"id": "x", "type": "core.flow.Subflow", "namespace": "company.team", "flowId": "flow"},
        f"{PATH}.flowId: a flow cannot be its own",
    ),
    (
        flowable("WorkingDirectory", "x", flowable("Sequential", "y", LOG)),
        f"{PATH}.tasks[0].type: core.flow.Sequential cannot be in",
    ),
    (flowable("WorkingDirectory", "x", LOG, cache={"ttl": "PT1H"}), f"{PATH}.cache.patterns: is required"),
    (flowable("Pause", "x", onResume=[{"id": "a", "type": "NOPE"}]), f"{PATH}.onResume[0].type: is one of STRING"),
    (
        {"id": "x", "type": "scripts.shell.Commands", "commands": ["ls"], "taskRunner": {"type": "docker"}},
        f"{PATH}.taskRunner: is the local process",
    ),
    (fail("x", retry=1), f"{PATH}.retry: is a mapping, not 1"),
    (fail("x", retry={"type": "constant", "interval": "{{ 1 }}"}), f"{PATH}.retry: '{{{{ 1 }}}}' is not a duration"),
    (
        flowable("LoopUntil", "x", LOG, condition="x", failOnMaxReached="maybe"),
        f"{PATH}.failOnMaxReached: is true, false or",
    ),
    (
        fail("x", retry={"type": "constant", "interval": "PT1S", "maxAttempts": "{{ 3 }}"}),
        f"{PATH}.retry.maxAttempts: is a whole number from 1",
    ),
    (
        fail("x", retry={"type": "constant", "interval": "PT1S", "maxAttempts": 0}),
        f"{PATH}.retry.maxAttempts: is a whole number from 1",
    ),
    (
        fail("x", retry={"type": "constant", "interval": "PT9S", "maxDuration": "PT8S"}),
        f"{PATH}.retry.maxDuration: is not less than interval",
    ),
    (
        fail("x", retry={"type": "random", "minInterval": "PT9S", "maxInterval": "PT8S"}),
        f"{PATH}.retry.maxInterval: is not less than minInterval",
    ),
    (
        fail("x", retry={"type": "exponential", "interval": "PT1S", "maxInterval": "PT8S", "delayFactor": "x"}),
        f"{PATH}.retry.delayFactor: is a number above 0",
    ),
    (log("x", "a {{ inputs.server-name }}"), f"{PATH}.message: means a subtraction; write inputs['server-name']"),
    (log("x", "{{ outputs.my-task.value }}"), f"{PATH}.message: means a subtraction; write outputs['my-task']"),
    (fail("x", retry={"type": "often"}), f"{PATH}.retry.type: is one of constant, exponential, random"),
    (fail("x", retry={"type": "constant"}), f"{PATH}.retry.interval: is required"),
    (
        fail("x", retry={"type": "constant", "interval": "PT1S", "behavior": "X"}),
        f"{PATH}.retry.behavior: is RETRY_FAILED_TASK or",
    ),
]

WRONG_FLOWS: Final[list[tuple[dict[str, Any], str]]] = [
    ({"id": "x y"}, "id: is made of letters"),
    ({"namespace": "Company"}, "namespace: is made of lower-case letters"),
    ({"tasks": None}, "tasks: is required"),
    ({"tasks": []}, "tasks: has at least one task"),
    ({"taks": []}, "taks: unknown property"),
    ({"listeners": [{"tasks": [log("log")]}]}, "listeners[0].tasks[0].id: the id log is not unique; tasks[0] has it"),
    ({"labels": {"Upper": "x"}}, "labels.Upper: the name of a label starts with a lower-case letter"),
    ({"labels": {"system.x": "x"}}, "labels.system.x: the name of a label"),
    ({"labels": [{"key": "a"}]}, "labels[0].value: is required"),
    ({"labels": {"a": []}}, "labels.a: is text, a number or a boolean"),
    ({"variables": {"a": "{{ 1 + }}"}}, "variables.a: line 1"),
    ({"concurrency": {"limit": 0}}, "concurrency.limit: is a whole number from 1 on"),
    ({"concurrency": {"limit": 1, "behavior": "X"}}, "concurrency.behavior: is QUEUE, CANCEL or FAIL"),
    ({"sla": [{"id": "a", "type": "X", "behavior": "FAIL"}]}, "sla[0].type: is MAX_DURATION or EXECUTION_ASSERTION"),
    ({"sla": [{"id": "a", "type": "MAX_DURATION", "behavior": "X"}]}, "sla[0].duration: is required\nsla[0].behavior: is FAIL"),
    ({"checks": [{"condition": "x", "message": "m", "behavior": "X"}]}, "checks[0].behavior: is BLOCK_EXECUTION"),
    ({"outputs": [{"id": "a", "value": "x", "type": "X"}]}, "outputs[0].type: is one of STRING"),
    ({"pluginDefaults": [{"type": "x"}]}, "pluginDefaults[0].values: is required"),
    ({"inputs": [{"id": "a"}, {"id": "a"}]}, "inputs: the input a is there twice"),
    ({"inputs": [{"id": "a", "type": "SELECT"}]}, "inputs[0]: needs values or an expression"),
    ({"inputs": [{"id": "a", "type": "ARRAY", "itemType": "ARRAY"}]}, "inputs[0].itemType: is the type of an input"),
    ({"inputs": [{"id": "a", "type": "ARRAY", "itemType": "X"}]}, "inputs[0].itemType: is the type of an input"),
    ({"inputs": [{"id": "a", "type": "ARRAY", "itemType": "SECRET"}]}, "inputs[0].itemType: is the type of an input"),
    ({"inputs": [{"id": "a", "validator": "("}]}, 'inputs[0].validator: "(" is not a regular expression'),
    ({"inputs": [{"id": "a", "validator": 1}]}, "inputs[0].validator: is text, not 1"),
    ({"inputs": [{"id": "a", "type": "FILE", "defaults": "x"}]}, "inputs[0].defaults: is the URI of a stored file"),
    ({"inputs": [{"id": "a", "type": "ARRAY"}]}, "inputs[0].itemType: is required"),
    ({"inputs": [{"id": "a", "type": "INT", "validator": "x"}]}, "inputs[0].validator: unknown property"),
    ({"inputs": [{"id": "a", "dependsOn": {"condition": "{{ 1 + }}"}}]}, "inputs[0].dependsOn.condition: line 1"),
    ({"triggers": [{"id": "a", "type": "x"}]}, "triggers[0].type: is one of core.trigger.Schedule"),
    ({"triggers": [{"id": "a", "type": "core.trigger.Schedule", "cron": "x"}]}, "triggers[0].cron: 'x' has 1 fields"),
    (
        {"triggers": [{"id": "a", "type": "core.trigger.Schedule", "cron": "* * * * *", "timezone": "Mars"}]},
        "triggers[0].timezone: 'Mars' is no time zone",
    ),
    *(
        ({"triggers": [{"id": "a", "type": "core.trigger.Schedule", **fields}]}, f"triggers[0].{mistake}")
        for fields, mistake in (
            ({"cron": "* * * * * *"}, "cron: has five fields; six, with a second"),
            ({"cron": "* * * * *", "withSeconds": True}, "cron: has five fields; six, with a second"),
            ({"cron": "@daily", "lateMaximumDelay": "{{ 1 }}"}, "lateMaximumDelay: is a duration; there is nothing"),
            ({"cron": "@daily", "lateMaximumDelay": "soon"}, "lateMaximumDelay: 'soon' is not a duration"),
            ({"cron": "@daily", "inputs": {"a": "{{ 1 + }}"}}, "inputs.a: line 1"),
            (
                {"cron": "@daily", "conditions": [{"type": "core.condition.ExecutionStatus"}]},
                "conditions[0].type: is for triggers of type core.trigger.Flow",
            ),
        )
    ),
    (
        {"triggers": [{"id": "a", "type": "core.trigger.Schedule", "cron": "@daily", "recoverMissedSchedules": "X"}]},
        "triggers[0].recoverMissedSchedules: is ALL, LAST or NONE",
    ),
    ({"triggers": [{"id": "a", "type": "core.trigger.Flow", "states": "X"}]}, 'triggers[0].states: "X" is not a state'),
    (
        {"triggers": [{"id": "a", "type": "core.trigger.Flow", "conditions": [{"type": "x"}]}]},
        "triggers[0].conditions[0].type: is one of core.condition.ExecutionStatus",
    ),
    (
        {"triggers": [{"id": "a", "type": "core.trigger.Webhook", "key": "k"}, {"id": "a", "type": "core.trigger.Webhook", "key": "k"}]},
        "triggers[1].id: the trigger id a is not unique",
    ),
]  # fmt: skip


def mistakes_in(document: object) -> str:
    with pytest.raises(InvalidFlowError) as refused:
        parse_flow(document)
    return str(refused.value)


@pytest.mark.parametrize(("task", "mistake"), WRONG_TASKS)
def test_a_mistake_in_a_task_is_told_with_its_path(task: Any, mistake: str) -> None:
    assert mistake in mistakes_in({"id": "flow", "namespace": "company.team", "tasks": [task]})


@pytest.mark.parametrize(("fields", "mistake"), WRONG_FLOWS)
def test_a_mistake_in_a_flow_is_told_with_its_path(fields: dict[str, Any], mistake: str) -> None:
    assert mistake in mistakes_in({"id": "flow", "namespace": "company.team", "tasks": [LOG], **fields})


def test_an_optional_output_may_ask_for_what_is_not_there() -> None:
    optional = {"id": "a", "value": "{{ outputs.no-task }}", "required": False}
    assert [output.id for output in flow(LOG, outputs=[optional]).outputs] == ["a"]


def test_all_mistakes_are_told_at_once() -> None:
    told = mistakes_in({"id": "x y", "tasks": [log("a", x=1), {"id": "b"}], "nope": 1})
    assert [line.partition(":")[0] for line in told.split("\n")] == [
        "namespace",
        "id",
        "nope",
        "tasks[0].x",
        "tasks[1].type",
    ]


def test_what_is_no_mapping_is_no_flow() -> None:
    assert mistakes_in([]) == "flow: is a mapping, not []"
    assert FlowMistake(("tasks", 0, "cases", "true", 1, "type"), "x").place == "tasks[0].cases.true[1].type"


def test_a_flow_is_nested_only_so_deeply() -> None:
    task = log("leaf")
    for depth in range(40):
        task = flowable("Sequential", f"s{depth}", task)
    assert "nested at most 30 deep" in mistakes_in({"id": "f", "namespace": "n", "tasks": [task]})


def test_names_of_types_may_be_short_long_or_old() -> None:
    assert short_name("io.kestra.plugin.core.flow.WaitFor") == "core.flow.LoopUntil"
    assert short_name("io.kestra.core.tasks.flows.Flow") == "core.flow.Subflow"
    assert short_name("io.kestra.core.models.conditions.types.ExecutionFlowCondition") == "core.condition.ExecutionFlow"
    assert short_name("io.kestra.plugin.core.condition.ExecutionFlowCondition") == "core.condition.ExecutionFlow"
    assert short_name("io.kestra.plugin.scripts.shell.Commands") == "scripts.shell.Commands"
    assert flow({"id": 7, "type": "x", "a": 1}).tasks["7"].kind == "task"


def test_everything_that_a_flow_can_say_is_read() -> None:
    read = flow_of(
        """
        description: says it all
        revision: 3
        inputs:
          - {id: form, type: FORM, inputs: [{id: a, type: INT, min: 1}, {name: b, validator: "[a-z]+"}]}
          - {id: c, type: ARRAY, itemType: INT, required: false, prefill: [1]}
          - {id: d, type: STRING, dependsOn: {inputs: [c], condition: "{{ true }}"}}
        outputs: [{id: o, value: "{{ 1 }}", type: INT, required: false}]
        variables: {v: 1}
        labels: [{key: team, value: core}, {key: "on", value: true}]
        concurrency: {limit: 2, behavior: CANCEL}
        retry: {type: random, minInterval: PT1S, maxInterval: PT3S, maxAttempt: 2}
        sla:
          - {id: a, type: MAX_DURATION, duration: PT1H, behavior: CANCEL, labels: {late: "yes"}}
          - {id: b, type: EXECUTION_ASSERTION, assert: "{{ true }}", behavior: NONE}
        checks: [{condition: "{{ true }}", message: m, style: ERROR, behavior: FAIL_EXECUTION}]
        pluginDefaults:
          - {type: core.log, values: {level: WARN}, forced: true}
          - {type: core.debug.Return, values: {format: d}}
          - {type: company, values: {x: 1}}
        triggers:
          - {id: s, type: core.trigger.Schedule, cron: "0 0 12 * * *", withSeconds: true, timezone: Europe/Paris, stopAfter: FAILED}
          - id: f
            type: io.kestra.core.models.triggers.types.Flow
            states: [SUCCESS]
            conditions:
              - {type: core.condition.ExecutionLabels, labels: {a: b}}
              - {type: core.condition.Expression, expression: "{{ true }}"}
          - {id: w, type: core.trigger.Webhook, key: k, disabled: true}
        tasks:
          - {id: log, type: core.log.Log, message: [a, 1], level: INFO, logLevel: ERROR, runIf: false, timeout: PT1M}
          - {id: return, type: core.debug.Return}
          - {id: work, type: company.work, x: 2, y: 3}
          - id: retried
            type: core.execution.Fail
            retry: {type: exponential, interval: PT1S, maxInterval: PT8S, delayFactor: 3, maxAttempts: 5, maxDuration: PT1M,
                    warningOnRetry: true, behavior: CREATE_NEW_EXECUTION}
          - {id: paused, type: core.flow.Pause, onPause: {id: told, type: core.log.Log, message: m}}
          - {id: asked, type: core.flow.Pause, onPause: [{id: told2, type: core.log.Log, message: m}], delay: "{{ 1 }}"}
          - {id: wait, type: core.flow.LoopUntil, condition: true, checkFrequency: {interval: PT1S}, tasks: [{id: l, type: core.log.Log, message: 3}]}
          - {id: items, type: core.flow.ForEachItem, items: x, namespace: n, flowId: f, batch: {rows: 2}, labels: {a: b}, wait: "true"}
          - {id: shell, type: scripts.shell.Commands, commands: ls, taskRunner: {type: io.kestra.plugin.core.runner.Process}}
        errors: [{id: e, type: core.log.Log, message: m}]
        afterExecution: [{id: a, type: core.log.Log, message: m}]
        """
    )
    assert [each.id for each in read.inputs] == ["form.a", "form.b", "c", "d"]
    assert (read.inputs[2].defaults, read.inputs[1].type) == ([1], "STRING")
    assert read.labels == {"team": "core", "on": "true"}
    assert read.tasks["log"].properties["level"] == "WARN"
    assert read.tasks["return"].properties == {"format": "d"}
    assert read.tasks["work"].properties == {"x": 2, "y": 3}
    assert read.tasks["retried"].retry == Retry(
        "exponential", 1_000_000, 8_000_000, 3.0, 5, 60_000_000, True, "CREATE_NEW_EXECUTION"
    )
    assert read.retry == Retry("random", 1_000_000, 3_000_000, max_attempts=2)
    assert [task.id for task in read.tasks["paused"].list_of("onPause")] == ["told"]
    assert (read.tasks["log"].run_if, read.tasks["log"].timeout, read.tasks["log"].log_level) == (
        "false",
        "PT1M",
        "ERROR",
    )
    assert [trigger.type for trigger in read.triggers] == ["Schedule", "Flow", "Webhook"]
    assert (read.sla[0].duration, read.sla[1].condition) == (3_600_000_000, "{{ true }}")
    assert read.list_of("finally") == ()


def test_a_template_is_read_and_its_mistakes_are_told() -> None:
    document = {"id": "t", "namespace": "n", "tasks": [LOG, flowable("Sequential", "s", log("inner"))]}
    tasks, every = parse_template(document)
    assert (len(tasks), sorted(every)) == (2, ["inner", "log", "s"])
    with pytest.raises(InvalidFlowError, match="tasks: is required"):
        parse_template({"id": "t", "namespace": "n"})
