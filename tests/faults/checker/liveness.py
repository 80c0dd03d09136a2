"""Rule 9: after the last fault every server answers, the queue drains, nothing is stuck; no call ever meets a
defect."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from tests.faults.checker.violation import Violation
from tests.faults.history import History, Operation
from tests.faults.windows import Window, touching

ANSWER_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 60.0
# A task that is ready while somebody waits for it, and nothing is disturbed: the poll behind a lost hint takes a
# second.
STUCK_SECONDS: Final = 4.0
_GRACE_SECONDS: Final = 6.0
PROBE: Final = "probe"


def check_liveness(history: History) -> Iterator[Violation]:
    """Rule 9."""
    for operation in history.operations:
        if operation.error_type == "internal-error":
            yield Violation(9, operation.op, f"{operation.method} met a defect: {operation.heard}")
    for defect in history.defects:
        yield Violation(9, defect["server"], f"it logged a defect: {defect['text']}")
    over = history.marks.get("faults-over")
    if over is None and "minutes" in history.run:
        yield Violation(9, "run", "it was cut off: its faults have no end")
    if over is not None:
        yield from _answers(history, over)
        drained = history.marks.get("drained", inf)
        if drained - over > DRAIN_SECONDS:
            yield Violation(9, "queue", f"it was not drained {DRAIN_SECONDS:.0f} s after the last fault")
        for subject, resource in history.resources.items():
            if resource["status"] != "done":
                yield Violation(9, subject, f"it is stuck: {resource['status']} at the end")
    yield from _kept_waiting(history)


def _answers(history: History, over: float) -> Iterator[Violation]:
    answered: dict[str, float] = {}
    for operation in history.operations:
        if operation.client == PROBE and operation.invoked >= over and operation.end == "ok":
            answered.setdefault(operation.server, operation.completed - over)
    for server in history.run.get("servers", ()):
        if answered.get(server, inf) > ANSWER_SECONDS:
            yield Violation(9, server, f"it did not answer within {ANSWER_SECONDS:.0f} s after the last fault")


def _kept_waiting(history: History) -> Iterator[Violation]:
    """Tasks that nothing holds back, and long polls that waited for them all the while."""
    polls: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.name == "task/long-poll" and operation.completed - operation.invoked > STUCK_SECONDS:
            for name in operation.params.get("taskDefinitions", ()):
                polls[name].append(operation)
    for subject, (since, until) in _ready_times(history):
        for poll in polls[history.resources[subject]["definition"]]:
            begin, end = max(since, poll.invoked), min(until, poll.completed)
            disturbances = touching(history.reach.disturbances(poll.client, poll.server), begin, end, _GRACE_SECONDS)
            if _undisturbed(begin, end, disturbances) > STUCK_SECONDS:
                yield Violation(9, subject, f"it was ready for {end - begin:.1f} s while {poll.op} waited for it")
                break


def _ready_times(history: History) -> Iterator[tuple[str, Window]]:
    """When tasks without a limit were ready for long."""
    for subject, steps in history.of_subject.items():
        resource = history.resources.get(subject)
        if resource is None or resource["resourceType"] != "AidboxTask" or "workflow-definition" in resource:
            continue
        if history.spec(resource).concurrencyLimit is not None:
            continue
        ends = [*(step.at for step in steps[1:]), inf]
        for step, end in zip(steps, ends, strict=True):
            if step.after == "ready" and end - step.at > STUCK_SECONDS:
                yield subject, (step.at, end)


def _undisturbed(begin: float, end: float, disturbances: Sequence[Window]) -> float:
    """The longest time in a span in which nothing was disturbed."""
    longest, free = 0.0, begin
    for since, until in disturbances:
        longest, free = max(longest, since - free), max(free, until)
    return max(longest, end - free)
