"""Rule 6: nothing happens before its time, and nothing much later; and no generation has more attempts than allowed.

The log tells both the beginning of a time and its end, by the database's clock. During an outage, which is when no
server could do its work, and for as long as a whole timeout after it, being late is not counted: after an outage
everything gets its time anew.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from taskrpc.core.definition import DefinitionSpec
from tests.faults.checker.creates import nonce
from tests.faults.checker.violation import Violation
from tests.faults.history import WORKFLOW, History, Transition
from tests.faults.occasions import BY_SERVER
from tests.faults.windows import touching

LATE_SECONDS: Final = 2.0
EARLY_SECONDS: Final = 0.002  # times in answers and in the log are of one clock, but of two statements

_BEGIN_ANEW: Final = frozenset({"requested-timeout", "in-progress-timeout"})  # after an outage


class _Deadline(NamedTuple):
    what: str
    at: float
    since: float


def check_timing(history: History) -> Iterator[Violation]:
    """Rule 6."""
    wanted = _wanted(history)
    for subject, transitions in history.of_subject.items():
        resource = history.resources.get(subject)
        if resource is None or resource["resourceType"] == WORKFLOW:
            continue
        spec = history.spec(resource)
        due_at = wanted.get(subject, wanted.get(str(nonce(resource))))
        if resource["definition"] not in BY_SERVER:
            yield from _times(history, spec, due_at, transitions)
        yield from _attempts(spec.allowedRetryCount, transitions)


def overdue(history: History, at: float, until: float) -> float:
    """By how much something that should have come at one time is late at another, outages taken into account."""
    return until - _put_off(history, _Deadline("due", at, at), until)


def _wanted(history: History) -> dict[str, float]:
    """When clients wanted tasks to be due, on the recorder's clock: by their ids or, where the server named them, by
    nonces."""
    offset: float = history.run["at"] - history.run["wall"]
    wanted = {}
    for operation in history.operations:
        if "executeAt" in operation.params:
            at = datetime.fromisoformat(operation.params["executeAt"]).timestamp() + offset
            name = operation.params.get("id") or operation.params.get("params", {}).get("nonce")
            wanted[str(name)] = at
    return wanted


def _times(
    history: History, spec: DefinitionSpec, due_at: float | None, transitions: list[Transition]
) -> Iterator[Violation]:
    deadline: _Deadline | None = None
    drop: _Deadline | None = None
    stopping = False
    for step in transitions:
        for each in (deadline, drop):
            if each is not None:
                yield from _judged(history, step, each)
        drop = _next_drop(spec, step, drop)
        stopping = step.what == "stop" or (stopping and step.what != "retry")
        if not (step.what == "feedback" or (stopping and step.before == step.after)):
            deadline = _next_deadline(spec, due_at, step)


def _next_drop(spec: DefinitionSpec, step: Transition, drop: _Deadline | None) -> _Deadline | None:
    """When a generation's whole time will have passed."""
    if step.what in ("create", "retry") and spec.timeout is not None:
        return _Deadline("dropped", step.at + spec.timeout / 1000, step.at)
    return None if step.after == "done" else drop


def _next_deadline(spec: DefinitionSpec, due_at: float | None, step: Transition) -> _Deadline | None:
    if step.after == "requested":
        return _Deadline("requested-timeout", step.at + spec.requestedToStartTimeout / 1000, step.at)
    if step.after == "in-progress":
        return _Deadline("in-progress-timeout", step.at + spec.inProgressTimeout / 1000, step.at)
    if step.after == "waiting" and step.what == "create":
        return None if due_at is None else _Deadline("due", due_at, step.at)
    if step.after == "waiting" and spec.retryBackoff.factor == 1 and not spec.retryBackoff.jitter:
        return _Deadline("due", step.at + spec.retryDelay / 1000, step.at)
    return None


def _judged(history: History, step: Transition, deadline: _Deadline) -> Iterator[Violation]:
    """Time acted too early, or too late; or something else happened long after time should have acted."""
    early = deadline.at - step.at
    if step.what == deadline.what and early > EARLY_SECONDS:
        yield Violation(6, step.subject, f"{step.what} came {early:.3f} s early")
    late = step.at - _put_off(history, deadline, step.at)
    if late > LATE_SECONDS:
        yield Violation(6, step.subject, f"{deadline.what} was {late:.3f} s overdue when {step.what} came")


def _put_off(history: History, deadline: _Deadline, until: float) -> float:
    """The deadline with the outages between its beginning and its end taken into account."""
    begins_anew = deadline.what in _BEGIN_ANEW
    allowance = deadline.at - deadline.since if begins_anew else 0.0
    since = deadline.since if begins_anew else deadline.at - LATE_SECONDS
    return max(
        [deadline.at, *(end + allowance for _, end in touching(history.reach.outages, since, until, LATE_SECONDS))]
    )


def _attempts(allowed: int, transitions: list[Transition]) -> Iterator[Violation]:
    attempts = 0
    for step in transitions:
        if step.what == "retry":
            attempts = 0
        elif step.what == "release" and step.before == "in-progress" and step.after == "ready":
            attempts -= 1
        elif step.after == "in-progress" != step.before:
            attempts += 1
            if attempts > allowed:
                yield Violation(6, step.subject, f"attempt {attempts}, where {allowed} are allowed")
