"""Preconditions: which conditions an execution meets, and when the last of them is met within a window."""

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import Started
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import State, begin
from taskrpc.core.flow.advance.step import advance
from taskrpc.core.flow.durations import SECOND
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.preconditions import DAY, met
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.core.flow.triggers import helps

MIDNIGHT = 20_000 * DAY
HOUR = 3600 * SECOND
SAY: dict[str, Any] = {"id": "say", "type": "core.debug.Return", "format": "hello"}
OF_SOURCE = {"namespace": "company.team", "flowId": "source"}


def listener(preconditions: Any, **fields: Any) -> Flow:
    given = {"id": "p", **preconditions} if isinstance(preconditions, dict) else preconditions
    trigger = {"id": "t", "type": "core.trigger.Flow", "preconditions": given, **fields}
    return parse_flow({"id": "f", "namespace": "n", "tasks": [SAY], "triggers": [trigger]})


def ended() -> tuple[Flow, State]:
    source = parse_flow({"id": "source", "namespace": "company.team", "tasks": [SAY], "labels": {"team": "a"}})
    state = begin(source, "e", MIDNIGHT, labels={"team": "a"})
    state.apply(advance(source, state, [Started(MIDNIGHT)], Facts()).changes)
    assert state.head.state == "SUCCESS"
    return source, state


def met_by_source(preconditions: Any, **fields: Any) -> list[str]:
    flow = listener(preconditions, **fields)
    source, state = ended()
    return helps(flow.triggers[0], flow, source, state, Facts())


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        (OF_SOURCE, True),
        ({"namespace": "company.team"}, True),
        ({**OF_SOURCE, "flowId": "other"}, False),
        ({**OF_SOURCE, "namespace": "company"}, False),
        ({**OF_SOURCE, "states": "SUCCESS"}, True),
        ({**OF_SOURCE, "states": ["FAILED"]}, False),
        ({**OF_SOURCE, "labels": {"team": "a"}}, True),
        ({**OF_SOURCE, "labels": {"team": "b"}}, False),
    ],
)
def test_a_flow_is_met_by_its_executions(entry: Any, holds: bool) -> None:
    assert met_by_source({"flows": [entry]}) == (["flows[0]"] if holds else [])


@pytest.mark.parametrize(
    ("field", "type", "value", "holds"),
    [
        ("FLOW_ID", "EQUAL_TO", "source", True),
        ("FLOW_ID", "EQUAL_TO", "sourc", False),
        ("FLOW_ID", "NOT_EQUAL_TO", "source", False),
        ("STATE", "IN", ["SUCCESS"], True),
        ("STATE", "IN", "SUCCESS", True),
        ("STATE", "NOT_IN", ["SUCCESS"], False),
        ("NAMESPACE", "STARTS_WITH", "company.", True),
        ("NAMESPACE", "STARTS_WITH", "team", False),
        ("NAMESPACE", "ENDS_WITH", ".team", True),
        ("NAMESPACE", "CONTAINS", "y.t", True),
        ("NAMESPACE", "CONTAINS", "finance", False),
        ("NAMESPACE", "REGEX", "company[.].*", True),
        ("NAMESPACE", "REGEX", "company", False),
        ("EXPRESSION", "IS_TRUE", "{{ outputs.say.value == 'hello' }}", True),
        ("EXPRESSION", "IS_TRUE", "{{ outputs.say.value == 'bye' }}", False),
        ("EXPRESSION", "IS_TRUE", "{{ outputs.other.value }}", False),
        ("EXPRESSION", "IS_FALSE", "{{ outputs.say.value == 'bye' }}", True),
        ("EXPRESSION", "IS_FALSE", "{{ outputs.other.value }}", False),
        ("EXPRESSION", "IS_NULL", "{{ outputs.other.value }}", True),
        ("EXPRESSION", "IS_NULL", "{{ outputs.say.value }}", False),
        ("EXPRESSION", "IS_NOT_NULL", "{{ outputs.say.value }}", True),
        ("EXPRESSION", "IS_NOT_NULL", "{{ outputs.other.value }}", False),
    ],
)
def test_a_filter_lets_executions_pass(field: str, type: str, value: Any, holds: bool) -> None:
    key = "values" if type in ("IN", "NOT_IN") else "value"
    where = {"id": "w", "filters": [{"field": field, "type": type, key: value}]}
    assert met_by_source({"where": [where]}) == (["where.w"] if holds else [])


@pytest.mark.parametrize(("operand", "holds"), [("AND", False), ("OR", True)])
def test_filters_are_put_together(operand: str, holds: bool) -> None:
    filters = [{"field": "FLOW_ID", "type": "EQUAL_TO", "value": value} for value in ("source", "other")]
    assert met_by_source({"where": [{"id": "w", "operand": operand, "filters": filters}]}) == ["where.w"] * holds


def test_states_and_conditions_of_the_trigger_hold_too() -> None:
    flows = {"flows": [OF_SOURCE]}
    expression = "{{ outputs.say.value == 'bye' }}"
    assert met_by_source(flows, states=["FAILED"]) == []
    assert met_by_source(flows, conditions=[{"type": "core.condition.Expression", "expression": expression}]) == []
    assert met_by_source(None) == []


def rules(window: Any = None, **fields: Any) -> Any:
    given = {} if window is None else {"timeWindow": window}
    two = [{**OF_SOURCE, "flowId": id} for id in ("a", "b")]
    return listener({"flows": two, **given, **fields}).triggers[0].properties["preconditions"]


A, B = ["flows[0]"], ["flows[1]"]
DAILY = {"type": "DAILY_TIME_WINDOW", "startTime": "06:30", "endTime": "09:00:00"}
DEADLINE = {"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00"}


@pytest.mark.parametrize(
    ("window", "first", "second", "fires"),
    [
        (None, 0, 24 * HOUR - 1, True),
        (None, 23 * HOUR, 24 * HOUR, False),
        ({"window": "PT1H"}, HOUR, 2 * HOUR - 1, True),
        ({"window": "PT1H"}, HOUR, 2 * HOUR, False),
        ({"window": "P1D", "windowAdvance": "PT6H"}, 23 * HOUR, 30 * HOUR - 1, True),
        ({"window": "P1D", "windowAdvance": "PT6H"}, 5 * HOUR, 6 * HOUR, False),
        ({"type": "SLIDING_WINDOW", "window": "PT1H"}, 24 * HOUR - 1, 25 * HOUR - 1, True),
        ({"type": "SLIDING_WINDOW", "window": "PT1H"}, 1, HOUR + 2, False),
        (DEADLINE, 0, 9 * HOUR, True),
        (DEADLINE, 0, 9 * HOUR + 1, False),
        (DEADLINE, 0, 32 * HOUR, False),
        (DAILY, 6 * HOUR + HOUR // 2, 9 * HOUR, True),
        (DAILY, 6 * HOUR, 9 * HOUR, False),
        (DAILY, 8 * HOUR, 9 * HOUR + 1, False),
    ],
)
def test_all_have_to_be_met_within_a_window(window: Any, first: int, second: int, fires: bool) -> None:
    state, fired = met(rules(window), {}, A, MIDNIGHT + first)
    assert not fired
    assert met(rules(window), state, B, MIDNIGHT + second)[1] is fires


def test_what_was_met_is_forgotten_once_it_fired() -> None:
    state, fired = met(rules(), {"flows[0]": MIDNIGHT}, B, MIDNIGHT)
    assert (state, fired) == ({}, True)
    kept, fired = met(rules(resetOnSuccess=False), {"flows[0]": MIDNIGHT}, B, MIDNIGHT + 1)
    assert (kept, fired) == ({"flows[0]": MIDNIGHT, "flows[1]": MIDNIGHT + 1}, True)
    assert met(rules(resetOnSuccess=False), kept, A, MIDNIGHT + 2)[1] is True


def test_what_is_no_condition_any_more_does_not_count() -> None:
    assert met(rules(), {"flows[0]": MIDNIGHT}, ["flows[7]"], MIDNIGHT) == ({"flows[0]": MIDNIGHT}, False)


FILTER = {"field": "STATE", "type": "EQUAL_TO", "value": "SUCCESS"}


def _where(**fields: Any) -> Any:
    return {"where": [{"id": "w", "filters": [{**FILTER, **fields}]}]}


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({}, "preconditions: has flows or where"),
        ({"flow": []}, "preconditions.flow: unknown property"),
        ({"flows": [{}]}, "preconditions.flows[0].namespace: is required"),
        ({"flows": [{**OF_SOURCE, "states": ["X"]}]}, 'preconditions.flows[0].states: "X" is not a state'),
        ({"where": [{"id": "w", "filters": []}]}, "preconditions.where[0].filters: has at least one"),
        ({"where": [{"id": "w", "operand": "XOR", "filters": [FILTER]}]}, "where[0].operand: is AND or OR"),
        ({"where": [{"id": "w", "filters": [FILTER]}] * 2}, "where[1].id: the id w is not unique"),
        (_where(field="X"), "filters[0].field: is one of FLOW_ID"),
        (_where(type="IS_TRUE"), "filters[0].type: is one of EQUAL_TO"),
        (_where(field="EXPRESSION"), "filters[0].type: is one of IS_TRUE"),
        (_where(type="IN"), "filters[0].values: is required"),
        (_where(type="REGEX", value="("), "is not a regular expression"),
        (_where(field="EXPRESSION", type="IS_TRUE", value="{{ ( }}"), "filters[0].value: "),
        ({"timeWindow": {"type": "X"}}, "timeWindow.type: is one of DURATION_WINDOW"),
        ({"timeWindow": {"window": "PT0S"}}, "timeWindow.window: is longer than nothing"),
        ({"timeWindow": {"window": "x"}}, "timeWindow.window: 'x' is not a duration"),
        ({"timeWindow": {"type": "SLIDING_WINDOW"}}, "timeWindow.window: is required"),
        ({"timeWindow": {"deadline": "09:00"}}, "timeWindow.deadline: unknown property"),
        ({"timeWindow": {**DEADLINE, "deadline": "9"}}, "deadline: is a time of day in UTC"),
        ({"timeWindow": {**DEADLINE, "deadline": "09:00+01:00"}}, "deadline: is a time of day in UTC"),
        ({"timeWindow": {**DAILY, "endTime": "06:00"}}, "timeWindow.endTime: is not before startTime"),
    ],
)
def test_a_mistake_is_told_with_its_path(given: Any, mistake: str) -> None:
    with pytest.raises(InvalidFlowError) as refused:
        listener(given)
    assert mistake in str(refused.value)
