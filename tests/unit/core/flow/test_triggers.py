"""Triggers: schedules as rules, what starts with which inputs, and the states that a step goes through."""

from datetime import UTC, datetime
from typing import Any

import pytest

from taskrpc.core.flow.advance.events import Started
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import begin
from taskrpc.core.flow.advance.step import advance
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.schedules import rule_id, rule_of, variables
from taskrpc.core.flow.triggers import after_step, begins, entered, fires, key_of, listens
from taskrpc.core.rule import LONGEST_DEADLINE_SECONDS

NOW = 1_800_000_000_000_000
SAY: dict[str, Any] = {"id": "say", "type": "core.debug.Return", "format": "hello"}


def flow(trigger: Any, id: str = "f", task: Any = SAY) -> Flow:
    triggers = [] if trigger is None else [{"id": "t", **trigger}]
    return parse_flow({"id": id, "namespace": "n", "tasks": [task], "triggers": triggers, "labels": {"a": "b"}})


def schedule(**fields: Any) -> Flow:
    return flow({"type": "core.trigger.Schedule", "cron": "0 9 * * *", **fields})


@pytest.mark.parametrize(
    ("fields", "key", "value"),
    [
        ({}, "schedule", "0 9 * * *"),
        ({"timezone": "Asia/Tokyo"}, "timezone", "Asia/Tokyo"),
        ({}, "concurrency-policy", "wait"),
        ({"allowConcurrent": True}, "concurrency-policy", "allow"),
        ({}, "start-deadline-seconds", LONGEST_DEADLINE_SECONDS),
        ({"lateMaximumDelay": "PT1M"}, "start-deadline-seconds", 60),
        ({"lateMaximumDelay": "PT0.1S"}, "start-deadline-seconds", 1),
        ({"lateMaximumDelay": "P3000D"}, "start-deadline-seconds", LONGEST_DEADLINE_SECONDS),
        ({}, "missed-ticks", "all"),
        ({"recoverMissedSchedules": "NONE"}, "missed-ticks", "none"),
        ({}, "workflow-request", {"definition": "n.f"}),
    ],
)
def test_a_schedule_is_a_rule_of_the_scheduler(fields: Any, key: str, value: object) -> None:
    rule, kept = rule_of("n.f", schedule(**fields).triggers[0])
    assert kept[key] == value
    assert (rule.starts, rule_id("n.f", "t")) == ("workflow", "n.f/t")


def test_a_tick_knows_those_around_it() -> None:
    tick = datetime(2027, 3, 27, 8, tzinfo=UTC)
    rule, _ = rule_of("n.f", schedule(timezone="Europe/Berlin").triggers[0])
    assert variables(rule, tick) == {
        "date": "2027-03-27T09:00:00.000+01:00",
        "next": "2027-03-28T09:00:00.000+02:00",
        "previous": "2027-03-26T09:00:00.000+01:00",
    }
    first, _ = rule_of("n.f", schedule(cron="0 0 1 1 *").triggers[0])
    assert variables(first, datetime(1970, 1, 1, tzinfo=UTC)).keys() == {"date", "next"}


def hook(**fields: Any) -> Flow:
    return flow({"type": "core.trigger.Webhook", "key": "k", **fields})


def test_inputs_are_rendered_with_what_the_trigger_means() -> None:
    listener = hook(inputs={"n": "{{ trigger.body.n }} of {{ flow.id }}"}, labels={"c": "d"})
    firing = begins(listener.triggers[0], listener, {"body": {"n": 7}}, NOW, Facts())
    assert firing is not None
    assert (firing.inputs, firing.labels, firing.trigger) == ({"n": "7 of f"}, {"c": "d"}, {"body": {"n": 7}})
    with pytest.raises(ExpressionError):
        begins(listener.triggers[0], listener, {}, NOW, Facts())


@pytest.mark.parametrize(("kind", "holds"), [("push", True), ("pull", False), (None, False)])
def test_a_condition_has_to_hold(kind: str | None, holds: bool) -> None:
    expression = "{{ trigger.body.kind == 'push' }}"
    listener = hook(conditions=[{"type": "core.condition.Expression", "expression": expression}])
    said = {"body": {} if kind is None else {"kind": kind}}
    assert (begins(listener.triggers[0], listener, said, NOW, Facts()) is not None) is holds


def test_a_key_may_be_an_expression() -> None:
    listener = hook(key="{{ secret('HOOK') }}-{{ flow.id }}")
    facts = Facts({("secret", listener.namespace, "HOOK"): "s"})
    assert key_of(listener.triggers[0], listener, NOW, facts) == "s-f"


def test_a_step_goes_through_states_and_each_can_be_listened_to() -> None:
    source = flow(None, "source")
    state = begin(source, "e", NOW)
    step = advance(source, state, [Started(NOW)], Facts())
    heads = entered(state.head, step.changes.head)
    assert [(place, head.state) for place, head in heads] == [(1, "RUNNING"), (2, "SUCCESS")]
    assert entered(step.changes.head, step.changes.head) == []
    listener = flow({"type": "core.trigger.Flow", "states": "RUNNING", "inputs": {"i": "{{ outputs.say.value }}"}})
    trigger = listener.triggers[0]
    assert [listens(trigger, listener, source, head) for _, head in heads] == [True, False]
    firing = fires(trigger, listener, source, after_step(state, step.changes, heads[0][1]), Facts())
    assert firing is not None
    assert (firing.inputs, firing.trigger["state"]) == ({"i": "hello"}, "RUNNING")
    assert firing.labels == {"system.correlationId": "e"}
