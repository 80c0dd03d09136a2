"""Selections: which resources somebody wants to hear of, and values taken from a resource by their path."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taskrpc.core.definition import PathStep, shown

_MISSING: Final = object()
_LONGEST_PATH: Final = 32

Path = Annotated[list[PathStep], Field(min_length=1, max_length=_LONGEST_PATH)]
Comparator = Literal["eq", "gt", "lt", "ge", "le"]


class Condition(BaseModel):
    """`{get-in, comparator, value}`: what stands at a path of the resource, compared with a value.

    `eq` takes any value; the others compare numbers with numbers and texts with texts. What is of another type, or is
    not there, does not fit; `value: null` with `eq` fits where there is nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    get_in: Path = Field(alias="get-in")
    comparator: Comparator
    value: Any

    @model_validator(mode="after")
    def _is_comparable(self) -> "Condition":
        if self.comparator != "eq" and not (_is_number(self.value) or isinstance(self.value, str)):
            raise ValueError(f"{self.comparator} compares numbers or texts, not {shown(self.value)}")
        return self

    def fits(self, resource: object) -> bool:
        """Whether the condition holds for a resource."""
        found = value_at(resource, self.get_in)
        if self.comparator == "eq":
            return _equal(None if found is _MISSING else found, self.value)
        if not (_is_number(found) and _is_number(self.value)) and not (
            isinstance(found, str) and isinstance(self.value, str)
        ):
            return False
        return _compare(self.comparator, found, self.value)


Selection = Annotated[list[Condition], Field(min_length=1, max_length=100)]


def fits(selection: Sequence[Condition], resource: object) -> bool:
    """Whether a resource fits all conditions."""
    return all(condition.fits(resource) for condition in selection)


def value_at(resource: object, path: Sequence[str | int]) -> Any:
    """What stands at a path; MISSING where there is nothing. Numbers count the elements of a list from 0."""
    for step in path:
        if isinstance(resource, Mapping):
            resource = resource.get(str(step), _MISSING)
        elif isinstance(resource, list) and isinstance(step, int) and 0 <= step < len(resource):
            resource = resource[step]
        else:
            return _MISSING
    return resource


def is_missing(value: object) -> bool:
    """Whether `value_at` has found nothing."""
    return value is _MISSING


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def _compare(comparator: str, left: Any, right: Any) -> bool:
    if comparator == "gt":
        return bool(left > right)
    if comparator == "lt":
        return bool(left < right)
    return bool(left >= right) if comparator == "ge" else bool(left <= right)
