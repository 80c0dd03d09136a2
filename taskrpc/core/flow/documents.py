"""What can be kept of a document that did not come over the wire: an expression, a text or an address made it."""

from collections.abc import Mapping
from typing import Any, Final

MOST_LEVELS: Final = 64
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1


def problem_of(value: Any) -> str | None:
    """Why a value cannot be kept as JSON in the database, as the end of a sentence; None where it can."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        for each in level:
            if (problem := _problem_of_one(each)) is not None:
                return problem
        level = [part for each in level for part in _parts(each)]
        if not level:
            return None
    return f"is nested more than {MOST_LEVELS} levels deep"


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple) else []


def _problem_of_one(value: Any) -> str | None:
    if isinstance(value, str) and "\0" in value:
        return "has a NUL, which cannot be stored"
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return "has a number beyond 64 bits"
    if isinstance(value, float) and value - value != 0:
        return "has a number that is not finite"
    return None
