"""What a run was: how much was done, what was done to it, how long it took to go on, what was violated."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.checker.coverage import seen
from tests.faults.checker.creates import account
from tests.faults.checker.violation import Violation
from tests.faults.history import WORKFLOW, Fault, History, Operation

_SHOWN: Final = 50
_RECOVERIES: Final = {
    "kill-server": "next success elsewhere after a server's kill -9",
    "kill-postgres": "next success after PostgreSQL's kill -9",
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took, in seconds, until something succeeded again after faults of one kind."""

    what: str
    seconds: Sequence[float]


def recoveries(history: History) -> Iterator[Recovery]:
    """From each kill to the first success of a task that was both begun and answered after it."""
    successes = [each for each in history.operations if each.name == "task/success" and each.end == "ok"]
    for name, what in _RECOVERIES.items():
        faults = [fault for fault in history.faults if fault.name == name]
        times = [time for fault in faults if (time := _next_success(successes, fault)) is not None]
        if times:
            yield Recovery(what, sorted(times))


def _next_success(successes: Sequence[Operation], fault: Fault) -> float | None:
    after = (each.completed for each in successes if each.invoked >= fault.began and each.server != fault.target)
    first = min(after, default=None)
    return None if first is None else first - fault.began


def summary(history: History, violations: Sequence[Violation], skipped: Mapping[str, str]) -> str:
    """The summary as a text of some dozen lines."""
    return "\n".join((*_work(history), *_faults(history, skipped), *_met(history), *_verdict(violations)))


def _work(history: History) -> Iterator[str]:
    made, calls = account(history), Counter(each.end for each in history.operations)
    kinds = Counter(_kind(resource) for resource in history.resources.values())
    yield f"seed         {history.run.get('seed')}"
    yield f"calls        {calls['ok']} answered, {calls['fail']} refused, {calls['info']} without an answer"
    yield f"done         {kinds['task']} tasks, {kinds['workflow']} workflows, {kinds['decision']} decisions"
    yield f"creates      {len(made.acknowledged)} acknowledged, {len(made.recovered)} without an answer and there,"
    yield f"             {len(made.lost)} lost, {len(made.unexpected)} unexpected, {len(made.doubled)} doubled"
    yield f"transitions  {len(history.transitions)}"


def _kind(resource: Mapping[str, object]) -> str:
    if resource["resourceType"] == WORKFLOW:
        return "workflow"
    return "decision" if "workflow-definition" in resource else "task"


def _faults(history: History, skipped: Mapping[str, str]) -> Iterator[str]:
    yield f"faults       {len(history.faults)}"
    for name, count in sorted(Counter(fault.name for fault in history.faults).items()):
        hits = sum(fault.hits for fault in history.faults if fault.name == name)
        yield f"  {count:5} {name}" + (f" ({hits} answers)" if hits else "")
    if history.run.get("wrong_clocks"):
        yield "  clocks of servers and executors were off by up to 90 s and drifted by up to 3 %"
    for name, reason in skipped.items():
        yield f"  none of {name}: {reason}"
    for recovery in recoveries(history):
        worst, middle = recovery.seconds[-1], recovery.seconds[len(recovery.seconds) // 2]
        yield f"  {recovery.what}: median {middle:.2f} s, worst {worst:.2f} s of {len(recovery.seconds)}"


def _met(history: History) -> Iterator[str]:
    yield "met"
    yield from (f"  {count:5} {what}" for what, count in seen(history).items())
    if history.stalls:
        yield f"  {sum(end - begin for begin, end in history.stalls):.1f} s without a processor, which count as a fault"


def _verdict(violations: Sequence[Violation]) -> Iterator[str]:
    yield f"violations   {len(violations)}"
    yield from (f"  {violation}" for violation in violations[:_SHOWN])
    if len(violations) > _SHOWN:
        yield f"  and {len(violations) - _SHOWN} more"
