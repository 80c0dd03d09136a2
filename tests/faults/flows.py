"""The workflows of the workload that executors decide: what their decisions say, and how they therefore have to end."""

from dataclasses import dataclass
from typing import Any, Final

from tests.system.dying_executors import FLOW, POISONED, STEP, STEPS, next_actions

__all__ = ["FLOW", "KINDS", "POISONED", "STEP", "Expected", "expected", "next_actions"]

KINDS: Final = ("serial", "parallel", "poisoned")
_ALL: Final = frozenset(f"step-{n}" for n in range(STEPS))


@dataclass(frozen=True, slots=True)
class Expected:
    """How a workflow ends that nobody cancels, and the labels of what it has started by then."""

    outcome: str
    labels: frozenset[str]


def expected(params: Any) -> Expected:
    """What becomes of a workflow with these params: a poisoned one fails in its third step and is undone."""
    if params["kind"] == "poisoned":
        return Expected("failed", frozenset({"step-0", "step-1", "step-2", "undo"}))
    return Expected("succeeded", _ALL)
