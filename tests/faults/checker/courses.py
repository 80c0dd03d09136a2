"""Rules 6 and 8 for flows: each step once, in the order that the flow says, neither early nor late; and the outcome.

A step of a flow is what the server does between the end of one task and the begin of the next.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from tests.faults.checker.timing import EARLY_SECONDS, LATE_SECONDS, overdue
from tests.faults.checker.violation import Violation
from tests.faults.courses import COURSES, PAUSE_SECONDS, RETRY_SECONDS
from tests.faults.history import History, Record
from tests.faults.windows import Window

# Who comes after whom, and how long after the last of them.
_FOLLOWS: Final = {
    "item": ("first", 0.0),
    "last": ("item", PAUSE_SECONDS),
    "bad": ("first", 0.0),
    "sorry": ("bad", 0.0),
}
_LASTS: Final = ("last", "sorry")
_TOGETHER: Final = 2  # of the items


@dataclass(frozen=True, slots=True)
class Attempt:
    """One task of an execution; `begun` is when it was created, `ended` when it was done."""

    name: str
    run: str
    number: int
    begun: float
    ended: float
    outcome: str | None


def check_courses(history: History) -> Iterator[Violation]:
    """Rules 6 and 8."""
    canceled = {each.params.get("id") for each in history.operations if each.name == "workflow/cancel"}
    for subject, attempts in attempts_of(history).items():
        execution = history.resources[subject]
        yield from _once(execution, attempts)
        if subject in canceled:
            continue
        yield from _as_the_flow_says(execution, attempts)
        for what, since, at in [*_steps(history, subject, attempts), *_retries(attempts)]:
            if since - at > EARLY_SECONDS:
                yield Violation(6, subject, f"{what} came {since - at:.3f} s early")
            late = overdue(history, since, at)
            if late > LATE_SECONDS:
                yield Violation(6, subject, f"{what} was {late:.3f} s overdue")


def steps_of_flows(history: History) -> list[Window]:
    """From the end of each task of a flow to what the server has made of it."""
    found = []
    for subject, attempts in attempts_of(history).items():
        found += [(since, at) for _, since, at in _steps(history, subject, attempts)]
    return found


def attempts_of(history: History) -> dict[str, list[Attempt]]:
    """The tasks of each execution of a flow, in the order in which they were created."""
    groups: dict[str, list[Attempt]] = {
        subject: [] for subject, resource in history.resources.items() if resource["definition"] in COURSES
    }
    for subject, resource in history.resources.items():
        requester = resource.get("requester", {})
        if requester.get("id") in groups:
            groups[requester["id"]].append(_attempt(history, subject, resource))
    for attempts in groups.values():
        attempts.sort(key=lambda attempt: attempt.begun)
    return groups


def _attempt(history: History, subject: str, resource: Record) -> Attempt:
    name, _, number = resource["label"].split("/")
    steps = history.of_subject[subject]
    ended = steps[-1].at if steps[-1].after == "done" else inf
    run = resource["requester"]["taskRunId"]
    return Attempt(name, run, int(number), steps[0].at, ended, resource.get("outcome"))


def _runs(attempts: Sequence[Attempt]) -> Mapping[str, list[Attempt]]:
    runs: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        runs[attempt.run].append(attempt)
    return runs


def _once(execution: Record, attempts: Sequence[Attempt]) -> Iterator[Violation]:
    for run, tried in _runs(attempts).items():
        numbers = [attempt.number for attempt in tried]
        if numbers != list(range(1, len(tried) + 1)):
            yield Violation(8, execution["id"], f"the attempts of {run} were {numbers}")
        if any(attempt.outcome == "succeeded" for attempt in tried[:-1]):
            yield Violation(8, execution["id"], f"{run} was tried again when it had succeeded")


def _as_the_flow_says(execution: Record, attempts: Sequence[Attempt]) -> Iterator[Violation]:
    if execution["status"] != "done":
        return
    course = COURSES[execution["definition"]]
    if execution["outcome"] != course.outcome:
        yield Violation(8, execution["id"], f"it ended {execution['outcome']} and not {course.outcome}")
    succeeded = Counter(attempt.name for attempt in attempts if attempt.outcome == "succeeded")
    if succeeded != course.succeeding:
        yield Violation(8, execution["id"], f"succeeded have {dict(succeeded)}, and not {dict(course.succeeding)}")
    others = Counter(attempt.name for attempt in attempts if attempt.name not in course.succeeding)
    if others != course.failing:
        yield Violation(8, execution["id"], f"it has tried {dict(others)} besides, and not {dict(course.failing)}")
    if _most_at_once([attempt for attempt in attempts if attempt.name == "item"]) > _TOGETHER:
        yield Violation(8, execution["id"], f"more than {_TOGETHER} items were under way at once")


def _most_at_once(attempts: Sequence[Attempt]) -> int:
    """An end comes before a begin of the same time: it has caused it."""
    changes = sorted([(each.begun, 1) for each in attempts] + [(each.ended, -1) for each in attempts])
    most = under_way = 0
    for _, change in changes:
        under_way += change
        most = max(most, under_way)
    return most


def _steps(history: History, subject: str, attempts: Sequence[Attempt]) -> Iterator[tuple[str, float, float]]:
    """What came, when it should have, and when it did."""
    log = history.of_subject[subject]
    if attempts:
        yield attempts[0].name, log[0].at, attempts[0].begun
    for name, (former, seconds) in _FOLLOWS.items():
        began = [attempt.begun for attempt in attempts if attempt.name == name]
        ends = [attempt.ended for attempt in attempts if attempt.name == former]
        if began and ends:
            yield name, max(ends) + seconds, min(began)
    ends = [attempt.ended for attempt in attempts if attempt.name in _LASTS]
    if ends and log[-1].what == "flow-ended":
        yield "its end", max(ends), log[-1].at


def _retries(attempts: Sequence[Attempt]) -> Iterator[tuple[str, float, float]]:
    for run, tried in _runs(attempts).items():
        for former, attempt in pairwise(tried):
            yield f"attempt {attempt.number} of {run}", former.ended + RETRY_SECONDS, attempt.begun
