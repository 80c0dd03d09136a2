"""Built-in tasks: which params they take, and what may be put about them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from taskrpc.core.built_in import (
    CLEAN_UP,
    SUBSCRIBE,
    WAIT,
    Wait,
    definition_fields,
    parse_params,
    refuse_polls,
    refuse_time,
)
from taskrpc.errors import TaskRpcError


def mistakes(name: str, params: Any) -> dict[str, str]:
    """The messages by path of params that are refused."""
    with pytest.raises(TaskRpcError) as refused:
        parse_params(name, params)
    assert refused.value.data is not None
    errors: Any = refused.value.data["errors"]
    return {error["path"]: error["message"] for error in errors}


def test_a_wait_says_how_long_or_until_when() -> None:
    assert parse_params(WAIT, {"duration": {"hours": 4, "minutes": 30}})
    wait = parse_params(WAIT, {"until": "2026-01-31"})
    assert isinstance(wait, Wait)
    assert wait.ends_at == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "path", "message"),
    [
        (None, "params", "one of duration and until has to be given"),
        ({"duration": {"seconds": 1}, "until": "2026-01-31"}, "params", "one of duration and until has to be given"),
        ({"duration": {}}, "params.duration", "hours, minutes or seconds have to be given"),
        ({"duration": {"hours": 90_000}}, "params.duration", "a wait takes ten years at most"),
        (
            {"duration": {"seconds": -1}},
            "params.duration.seconds",
            "Input should be greater than or equal to 0, not -1",
        ),
        ({"duration": {"seconds": 1.5}}, "params.duration.seconds", "an integer is expected, not 1.5"),
        ({"duration": {"days": 1}}, "params.duration.days", "is not known here"),
        ({"duration": 5}, "params.duration", "a mapping is expected, not 5"),
        ({"until": "tomorrow"}, "params.until", "'tomorrow' is not a time like 2023-05-04T15:30:43Z"),
        ("soon", "params", 'a mapping is expected, not "soon"'),
    ],
)
def test_a_wait_that_is_none_is_refused_with_its_place(params: Any, path: str, message: str) -> None:
    assert mistakes(WAIT, params)[path] == message


def test_a_subscription_needs_conditions() -> None:
    assert mistakes(SUBSCRIBE, {}) == {"params.select-by": "is required"}
    assert parse_params(SUBSCRIBE, {"select-by": [{"get-in": ["id"], "comparator": "eq", "value": "a"}]})


def test_a_clean_up_needs_a_policy_per_rule() -> None:
    def rule(**more: Any) -> Any:
        return {"rules": [{"retentionPolicy": {"unit": "days", "value": 1}, **more}]}

    assert parse_params(CLEAN_UP, rule(includeDefinitions=["a/b"]))
    assert mistakes(CLEAN_UP, {"rules": []}).keys() == {"params.rules"}
    assert mistakes(CLEAN_UP, {"rules": [{}]}) == {"params.rules.0.retentionPolicy": "is required"}
    both = rule(includeDefinitions=["a/b"], excludeDefinitions=["c/d"])
    assert mistakes(CLEAN_UP, both) == {
        "params.rules.0": "one of includeDefinitions and excludeDefinitions may be given, not both"
    }
    for unit, value in (("second", 1), (7, 1), ("year", 101), ("minute", 60_000_000)):
        policy = {"retentionPolicy": {"unit": unit, "value": value}}
        assert len(mistakes(CLEAN_UP, {"rules": [policy]})) == 1


def test_the_timing_of_a_built_in_belongs_to_the_server() -> None:
    assert definition_fields(WAIT, {"retention": 1000}) == {"retention": 1000}
    assert definition_fields(CLEAN_UP, {})["inProgressTimeout"] == 15_000
    with pytest.raises(TaskRpcError, match="only description, retention, timeout can be put"):
        definition_fields(WAIT, {"concurrencyLimit": 1})


def test_executors_cannot_poll_a_built_in_and_those_that_begin_at_once_take_no_time() -> None:
    refuse_polls(["a/b"])
    with pytest.raises(ValueError, match="is done by the server itself"):
        refuse_polls(["a/b", WAIT])
    assert refuse_time(WAIT).type == "invalid-params"
