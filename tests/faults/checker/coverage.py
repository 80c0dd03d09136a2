"""Rule 10: a run that met nothing proves nothing; these are the things that it has to have seen."""

import bisect
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from tests.faults.checker.courses import steps_of_flows
from tests.faults.checker.creates import account
from tests.faults.checker.violation import Violation
from tests.faults.history import History
from tests.faults.occasions import WAIT
from tests.faults.windows import Window

DROPPED: Final = "a task whose whole time had passed"


def check_coverage(history: History) -> Iterator[Violation]:
    """Rule 10, for runs that were made to see everything."""
    if not history.run.get("complete"):
        return
    impossible = set() if _has_timeouts(history) else {DROPPED}
    for what, count in seen(history).items():
        if not count and what not in impossible:
            yield Violation(10, "run", f"it did not see {what}")


def _has_timeouts(history: History) -> bool:
    """Whether any definition of the run has a `timeout`; in older workloads none had."""
    return any("timeout" in fields for fields in history.run.get("definitions", {}).values())


def seen(history: History) -> Mapping[str, int]:
    """How often each of the things was seen."""
    return {what: count(history) for what, count in (OF_CALLS | OF_THE_SERVER).items()}


def _stale(history: History) -> int:
    return sum(operation.error_type == "stale-exec-id" for operation in history.operations)


def _logged(what: str) -> Callable[[History], int]:
    return lambda history: sum(step.what == what for step in history.transitions)


def _recovered(history: History) -> int:
    return len(account(history).recovered)


def _during_long_polls(history: History) -> int:
    """Only what may have kept the poll from its answer."""
    return sum(
        any(each.invoked < fault.began < each.completed for fault in history.reach.between(each.client, each.server))
        for each in history.operations
        if each.name == "task/long-poll"
    )


def _during_decisions(history: History) -> int:
    windows = []
    for subject, resource in history.resources.items():
        steps = history.of_subject.get(subject, [])
        if "workflow-definition" in resource:
            windows += [(a.at, b.at) for a, b in pairwise(steps) if a.after == "in-progress"]
    return _hit(history, windows)


def _during_waits(history: History) -> int:
    windows = []
    for subject, resource in history.resources.items():
        if resource["definition"] == WAIT:
            steps = history.of_subject.get(subject, [])
            windows += [(a.at, b.at) for a, b in pairwise(steps) if a.after == "in-progress"]
    return _hit(history, windows)


def _ticks(history: History) -> int:
    return sum("tick" in resource.get("requester", {}) for resource in history.resources.values())


def _hit(history: History, windows: list[Window]) -> int:
    """In how many of these spans of time a fault began."""
    begins = [fault.began for fault in history.faults]
    return sum(bisect.bisect_right(begins, begin) < bisect.bisect_left(begins, end) for begin, end in windows)


# What clients and executors meet, and what the server does by itself, which simulations do not have.
OF_CALLS: Final[dict[str, Callable[[History], int]]] = {
    "a stale execId refused": _stale,
    "a requested-timeout": _logged("requested-timeout"),
    "an in-progress-timeout": _logged("in-progress-timeout"),
    DROPPED: _logged("dropped"),
    "a create without an answer that had happened": _recovered,
    "a retry": _logged("retry"),
    "a fault amid a long poll": _during_long_polls,
    "a fault amid a decision": _during_decisions,
}
OF_THE_SERVER: Final[dict[str, Callable[[History], int]]] = {
    "a fault amid a wait": _during_waits,
    "a fault amid a step of a flow": lambda history: _hit(history, steps_of_flows(history)),
    "a subscription that an event ended": _logged("event"),
    "a tick of the scheduler": _ticks,
}
