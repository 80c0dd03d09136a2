"""Selections: which resources fit, value by value and type by type."""

from typing import Any

import pytest
from pydantic import ValidationError

from taskrpc.core.selection import Condition, fits, is_missing, value_at

RESOURCE: Any = {
    "resourceType": "Observation",
    "value": 7,
    "code": {"coding": [{"code": "8867-4"}, {"code": "9279-1"}]},
    "final": True,
    "1": "one",
}


def condition(path: list[str | int], comparator: str, value: Any) -> Condition:
    return Condition.model_validate({"get-in": path, "comparator": comparator, "value": value})


@pytest.mark.parametrize(
    ("path", "comparator", "value", "fitting"),
    [
        (["resourceType"], "eq", "Observation", True),
        (["resourceType"], "eq", "observation", False),
        (["code", "coding", 1, "code"], "eq", "9279-1", True),
        (["code", "coding", 2, "code"], "eq", "9279-1", False),
        (["code", "coding", "1", "code"], "eq", "9279-1", False),
        (["code", "coding"], "eq", [{"code": "8867-4"}, {"code": "9279-1"}], True),
        (["code", "coding"], "eq", [{"code": "8867-4"}], False),
        (["code"], "eq", {"coding": []}, False),
        ([1], "eq", "one", True),
        (["value"], "eq", 7.0, True),
        (["value"], "eq", "7", False),
        (["final"], "eq", True, True),
        (["final"], "eq", 1, False),
        (["absent"], "eq", None, True),
        (["value"], "eq", None, False),
        (["value", "deeper"], "eq", None, True),
        (["value"], "gt", 6, True),
        (["value"], "gt", 7, False),
        (["value"], "ge", 7, True),
        (["value"], "ge", 7.5, False),
        (["value"], "lt", 7.5, True),
        (["value"], "lt", 7, False),
        (["value"], "le", 7, True),
        (["value"], "le", 6, False),
        (["resourceType"], "gt", "Nothing", True),
        (["resourceType"], "lt", "Nothing", False),
        (["value"], "gt", "6", False),
        (["final"], "gt", 0, False),
        (["absent"], "gt", 0, False),
    ],
)
def test_a_condition_compares_values_of_one_type(
    path: list[str | int], comparator: str, value: Any, fitting: bool
) -> None:
    assert condition(path, comparator, value).fits(RESOURCE) is fitting


def test_all_conditions_have_to_fit() -> None:
    selection = [condition(["resourceType"], "eq", "Observation"), condition(["value"], "gt", 6)]
    assert fits(selection, RESOURCE)
    assert not fits([*selection, condition(["value"], "gt", 7)], RESOURCE)


def test_a_value_that_is_null_is_not_missing() -> None:
    assert value_at({"a": None}, ["a"]) is None
    assert is_missing(value_at({"a": None}, ["b"]))


@pytest.mark.parametrize("value", [None, True, [], {}])
def test_only_numbers_and_texts_have_an_order(value: Any) -> None:
    with pytest.raises(ValidationError, match="compares numbers or texts"):
        condition(["a"], "gt", value)
