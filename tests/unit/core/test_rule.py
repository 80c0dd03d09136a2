"""Rules: what is refused, and how a subscription's params are filled from a resource."""

from typing import Any

import pytest

from taskrpc.core.rule import SchedulerRule, SubscriptionRule, parse_rule
from taskrpc.errors import TaskRpcError

REQUEST: Any = {"task-request": {"definition": "a/b"}}
SELECT: Any = {"select-by": [{"get-in": ["resourceType"], "comparator": "eq", "value": "Patient"}]}


def mistakes(form: Any, fields: dict[str, Any]) -> dict[str, str]:
    """The messages by path of rules that are refused."""
    with pytest.raises(TaskRpcError) as refused:
        parse_rule(form, fields)
    assert refused.value.type == "invalid-params"
    assert refused.value.data is not None
    errors: Any = refused.value.data["errors"]
    return {error["path"]: error["message"] for error in errors}


def test_a_scheduler_rule_has_defaults() -> None:
    rule = parse_rule(SchedulerRule, {"schedule": "@daily", "timezone": None, **REQUEST})
    assert (rule.timezone, rule.execute_on_setup, rule.concurrency_policy) == ("UTC", False, "forbid")
    assert (rule.start_deadline_seconds, rule.starts, rule.request.definition) == (60, "task", "a/b")
    assert rule.ticks.expression == "0 0 * * *"


def test_a_scheduler_rule_ticks_in_its_time_zone() -> None:
    rule = parse_rule(SchedulerRule, {"schedule": "0 9 * * 1-5", "timezone": "Europe/Berlin", **REQUEST})
    assert (rule.ticks.expression, rule.ticks.zone.key) == ("0 9 * * 1-5", "Europe/Berlin")


def test_every_mistake_of_a_scheduler_rule_is_named() -> None:
    found = mistakes(
        SchedulerRule,
        {"schedule": "61 * * * *", "timezone": "Berlin", "concurrency-policy": "maybe", "start-deadline-seconds": 0},
    )
    assert found.keys() == {"schedule", "timezone", "concurrency-policy", "start-deadline-seconds"}
    assert found["schedule"] == "'61 * * * *' is no schedule: Bad minute"
    assert mistakes(SchedulerRule, {"schedule": "@daily"}) == {
        "params": "one of task-request and workflow-request has to be given"
    }
    both = {**REQUEST, "workflow-request": {"definition": "c/d"}}
    assert "params" in mistakes(SchedulerRule, {"schedule": "@daily", **both})
    assert mistakes(SchedulerRule, {"schedule": "@daily", "task-request": {"definition": "a/b", "when": 1}}) == {
        "task-request.when": "is not known here"
    }


def test_a_rule_may_start_a_workflow() -> None:
    rule = parse_rule(SchedulerRule, {"schedule": "@daily", "workflow-request": {"definition": "c/d"}})
    assert (rule.starts, rule.request.definition) == ("workflow", "c/d")


def subscription(params: Any) -> SubscriptionRule:
    return parse_rule(SubscriptionRule, {**SELECT, "task-request": {"definition": "a/b", "params": params}})


def test_params_are_filled_with_values_of_the_resource() -> None:
    resource = {"id": "p1", "name": [{"given": ["Ada"]}], "none": None}
    params = {
        "id": {"get-in": ["id"]},
        "first": {"get-in": ["name", 0, "given", 0]},
        "absent": {"get-in": ["birthDate"]},
        "none": {"get-in": ["none"]},
        "deep": {"list": [1, {"get-in": ["id"]}, {"get-in": ["birthDate"]}], "absent": {"get-in": ["x", 1]}},
        "plain": {"get-in": ["id"], "else": 1},
    }
    assert subscription(params).filled_params(resource) == {
        "id": "p1",
        "first": "Ada",
        "none": None,
        "deep": {"list": [1, "p1", None]},
        "plain": {"get-in": ["id"], "else": 1},
    }
    assert subscription(None).filled_params(resource) is None


def test_a_template_may_stand_for_all_params() -> None:
    template = subscription({"get-in": ["inner"]})
    assert template.filled_params({"inner": {"a": 1}}) == {"a": 1}
    for resource in ({"inner": [1]}, {}):
        with pytest.raises(TaskRpcError, match="params: a mapping is expected, but at \\['inner'\\] the resource has"):
            template.filled_params(resource)


def nested(levels: int, value: Any) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def test_params_do_not_become_deeper_than_what_clients_may_send() -> None:
    rule = subscription({"x": nested(31, {"get-in": ["deep"]})})
    assert rule.filled_params({"deep": nested(32, 1)}) == {"x": nested(63, 1)}
    with pytest.raises(TaskRpcError, match=r"params: .*nested deeper than 64 levels"):
        rule.filled_params({"deep": nested(33, 1)})


def test_params_do_not_become_larger_than_what_clients_may_send() -> None:
    resource = {"large": "x" * 2**22}
    assert subscription({"x": {"get-in": ["large"]}}).filled_params(resource) == {"x": resource["large"]}
    with pytest.raises(TaskRpcError, match=r"params: .*larger than 8388608 bytes"):
        subscription({"x": [{"get-in": ["large"]}] * 1000}).filled_params(resource)


@pytest.mark.parametrize("path", [[], "id", [True], [1.5], ["a"] * 33, None])
def test_a_template_that_is_no_path_is_refused(path: Any) -> None:
    found = mistakes(
        SubscriptionRule,
        {**SELECT, "task-request": {"definition": "a/b", "params": {"deep": [{"x": {"get-in": path}}]}}},
    )
    assert "get-in is a path of 1 to 32 keys and numbers" in found["params"]


def test_a_subscription_needs_conditions() -> None:
    assert mistakes(SubscriptionRule, {"select-by": [], **REQUEST}).keys() == {"select-by"}
    assert mistakes(SubscriptionRule, REQUEST) == {"select-by": "is required"}
    wrong = {"select-by": [{"get-in": [], "comparator": "like", "value": 1}], **REQUEST}
    assert mistakes(SubscriptionRule, wrong).keys() == {"select-by.0.get-in", "select-by.0.comparator"}
