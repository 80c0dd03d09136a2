"""Rules 1 and 6 for what the server does by itself: each wait ends in its time, each event is told, each tick fires
once.

The log's times are those of the database's clock, and ticks are whole minutes of it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil, inf
from typing import Final

from tests.faults.checker.creates import nonce
from tests.faults.checker.timing import EARLY_SECONDS, LATE_SECONDS, overdue
from tests.faults.checker.violation import Violation
from tests.faults.history import History, Operation, Record, Transition
from tests.faults.occasions import LISTENER, SUBSCRIBE, WAIT

_MINUTE: Final = 60.0


def check_occasions(history: History) -> Iterator[Violation]:
    """Rules 1 and 6."""
    yield from _waits(history)
    published: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.name == "event/publish" and operation.end != "fail":
            published[operation.params["resource"]["nonce"]].append(operation)
    yield from _subscriptions(history, published)
    yield from _started_by_events(history, published)
    yield from _ticks(history)


def _waits(history: History) -> Iterator[Violation]:
    for subject, steps in history.of_subject.items():
        resource = history.resources.get(subject)
        if resource is None or resource["definition"] != WAIT:
            continue
        for step, following in pairwise(steps):
            if step.after == "in-progress":
                yield from _ended(history, step, following, _ends_at(history, resource, step))


def _ends_at(history: History, resource: Record, step: Transition) -> float:
    params = resource["params"]
    if "until" in params:
        return _on_our_clock(history, params["until"])
    return step.at + float(params["duration"]["seconds"])


def _on_our_clock(history: History, time: str) -> float:
    offset: float = history.run["at"] - history.run["wall"]
    return datetime.fromisoformat(time).timestamp() + offset


def _ended(history: History, begun: Transition, step: Transition, at: float) -> Iterator[Violation]:
    """A wait until a time that is past ends at once: perhaps by a transaction that began before its creation's."""
    if step.what == "due" and at - step.at > EARLY_SECONDS:
        yield Violation(6, step.subject, f"its wait ended {at - step.at:.3f} s early")
    late = overdue(history, max(at, begun.at), step.at)
    if late > LATE_SECONDS:
        yield Violation(6, step.subject, f"its wait was {late:.3f} s overdue when {step.what} came")


def _subscriptions(history: History, published: Mapping[str, Sequence[Operation]]) -> Iterator[Violation]:
    """One that was there when its event was published ends with it."""
    created = {
        operation.params["id"]: operation.completed
        for operation in history.operations
        if operation.params.get("definition") == SUBSCRIBE and operation.end == "ok"
    }
    for subject, resource in history.resources.items():
        if resource["definition"] != SUBSCRIBE:
            continue
        told = [each for each in published.get(subject, ()) if each.end == "ok"]
        if resource["status"] == "done":
            result = resource.get("result", {}).get("resource")
            if result not in [each.params["resource"] for each in published.get(subject, ())]:
                yield Violation(1, subject, f"it ended with {result}, which nobody published")
        elif any(each.invoked >= created.get(subject, inf) for each in told):
            yield Violation(1, subject, "its event was published, and it was not told")
        ended = next((step.at for step in history.of_subject.get(subject, ()) if step.what == "event"), None)
        yield from _in_time(history, subject, told, ended, "its event was told")


def _started_by_events(history: History, published: Mapping[str, Sequence[Operation]]) -> Iterator[Violation]:
    """A rule that listens starts one task per event; that there are no two is told by their nonces.

    Events are told after they were published: one that nobody was told of yet when the rule was deleted starts nothing.
    """
    begun = {
        str(nonce(resource)): subject
        for subject, resource in history.resources.items()
        if resource.get("requester", {}).get("id") == LISTENER
    }
    for each in begun.keys() - published.keys():
        yield Violation(1, begun[each], "a rule started it for an event that nobody published")
    since, until = _life(history, "subscription", LISTENER)
    for each, operations in published.items():
        told = [one for one in operations if one.end == "ok"]
        if each not in begun:
            heard = [one for one in told if one.invoked >= since]
            if any(overdue(history, one.completed, until) > LATE_SECONDS for one in heard):
                yield Violation(1, each, "it was published, and the rule that listens started nothing")
            continue
        (first, *_) = history.of_subject[begun[each]]
        yield from _in_time(history, begun[each], told, first.at, "its event started it")


def _in_time(
    history: History, subject: str, told: Sequence[Operation], at: float | None, what: str
) -> Iterator[Violation]:
    if at is not None and told:
        late = overdue(history, min(each.completed for each in told), at)
        if late > LATE_SECONDS:
            yield Violation(6, subject, f"{what} {late:.3f} s after it was published")


def _life(history: History, room: str, rule: str) -> tuple[float, float]:
    """From when until when a rule was there for sure."""
    calls = [each for each in history.operations if each.params.get("id") == rule]
    since = min((each.completed for each in calls if each.name == f"{room}/put" and each.end == "ok"), default=inf)
    return since, min((each.invoked for each in calls if each.name == f"{room}/delete"), default=inf)


def _ticks(history: History) -> Iterator[Violation]:
    fired: defaultdict[str, defaultdict[float, list[str]]] = defaultdict(lambda: defaultdict(list))
    for subject, resource in history.resources.items():
        requester = resource.get("requester", {})
        if "tick" in requester:
            fired[requester["id"]][_on_our_clock(history, requester["tick"])].append(subject)
    rules = {each.params["id"] for each in history.operations if each.name == "scheduler/put"}
    for rule in sorted(rules | fired.keys()):
        ticks = fired[rule]
        for at, subjects in ticks.items():
            yield from _fired(history, rule, at, subjects)
        since, until = _life(history, "scheduler", rule)
        for at in _minutes(history, since, min(until, history.marks.get("faults-over", 0.0))):
            is_there = any(abs(at - tick) < EARLY_SECONDS for tick in ticks)
            if not is_there and overdue(history, at, until) > LATE_SECONDS:
                yield Violation(1, rule, f"its tick at {at:.3f} did not fire")


def _fired(history: History, rule: str, at: float, subjects: Sequence[str]) -> Iterator[Violation]:
    if len(subjects) > 1:
        yield Violation(1, rule, f"its tick at {at:.3f} fired {len(subjects)} times: {sorted(subjects)}")
    begun = history.of_subject[subjects[0]][0].at
    if at - begun > EARLY_SECONDS:
        yield Violation(6, rule, f"its tick at {at:.3f} fired {at - begun:.3f} s early")
    late = overdue(history, at, begun)
    if late > LATE_SECONDS:
        yield Violation(6, rule, f"its tick at {at:.3f} was {late:.3f} s overdue when it fired")


def _minutes(history: History, since: float, until: float) -> Iterator[float]:
    """The whole minutes of the database's clock in a span of time, on ours."""
    if since == inf:
        return
    offset: float = history.run["at"] - history.run["wall"]
    minute = ceil((since - offset) / _MINUTE) * _MINUTE
    while minute + offset < until:
        yield minute + offset
        minute += _MINUTE
