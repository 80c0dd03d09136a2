"""What a run was, in Markdown: how much was done, what was done to it, how long it took to go on, what was violated."""

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from tests.faults.checker.coverage import seen
from tests.faults.checker.creates import account
from tests.faults.checker.violation import Violation
from tests.faults.history import WORKFLOW, History, Operation
from tests.faults.reach import Fault

_SHOWN: Final = 50
_SHOWN_RECOVERED: Final = 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took, in seconds and in order, until something succeeded again after each fault of one kind.

    `pause` is the longest time without any success while one of them lasted.
    """

    fault: str
    count: int
    hits: int
    seconds: Sequence[float]
    pause: float

    @property
    def median(self) -> float:
        return self.seconds[len(self.seconds) // 2]

    @property
    def worst(self) -> float:
        return self.seconds[-1]


def recoveries(history: History) -> Iterator[Recovery]:
    """Of each kind of fault, from its begin to the first success of a task, at another server than the one it was done
    to, that was both begun and answered after it."""
    successes = [each for each in history.operations if each.name == "task/success" and each.end == "ok"]
    ends = sorted(each.completed for each in successes)
    for name in sorted({fault.name for fault in history.faults}):
        faults = [fault for fault in history.faults if fault.name == name]
        times = [time for fault in faults if (time := _next_success(successes, fault)) is not None]
        pause = max(_longest_pause(ends, fault) for fault in faults)
        yield Recovery(name, len(faults), sum(fault.hits for fault in faults), sorted(times), pause)


def _next_success(successes: Sequence[Operation], fault: Fault) -> float | None:
    """`successes` are in the order in which they were begun."""
    first = inf
    for n in range(bisect.bisect_left(successes, fault.began, key=lambda each: each.invoked), len(successes)):
        if successes[n].invoked > first:
            break
        if successes[n].server != fault.target:
            first = min(first, successes[n].completed)
    return None if first == inf else first - fault.began


def _longest_pause(ends: Sequence[float], fault: Fault) -> float:
    during = ends[bisect.bisect_left(ends, fault.began) : bisect.bisect_right(ends, fault.healed) + 1]
    return max((after - before for before, after in pairwise([fault.began, *during])), default=0.0)


def summary(history: History, violations: Sequence[Violation]) -> str:
    """The summary as a text of some dozen lines."""
    met = [(str(count), what) for what, count in seen(history).items()]
    parts = (
        _table(("", ""), _work(history, violations)),
        _table(("fault", "times", "next success: median", "worst", "longest pause"), _faults(history)),
        _remarks(history),
        _table(("times", "met"), met),
        _violations(violations),
        _recovered(history),
    )
    return "\n".join(line for part in parts for line in part).rstrip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _work(history: History, violations: Sequence[Violation]) -> Iterator[tuple[str, str]]:
    made, calls = account(history), Counter(each.end for each in history.operations)
    kinds = Counter(_kind(resource) for resource in history.resources.values())
    known = f"{len(made.acknowledged)} acknowledged, {len(made.recovered)} without an answer and there"
    wrong = f"{len(made.lost)} lost, {len(made.unexpected)} unexpected, {len(made.doubled)} doubled"
    yield "seed", str(history.run.get("seed"))
    yield "minutes", str(history.run.get("minutes"))
    yield "calls", f"{calls['ok']} answered, {calls['fail']} refused, {calls['info']} without an answer"
    yield "done", f"{kinds['task']} tasks, {kinds['workflow']} workflows, {kinds['decision']} decisions"
    yield "creates", f"{known}; {wrong}"
    yield "transitions", str(len(history.transitions))
    yield "faults", str(len(history.faults))
    yield "violations", f"**{len(violations)}**"


def _kind(resource: Mapping[str, object]) -> str:
    if resource["resourceType"] == WORKFLOW:
        return "workflow"
    return "decision" if "workflow-definition" in resource else "task"


def _faults(history: History) -> Iterator[tuple[str, ...]]:
    for each in recoveries(history):
        hits = f" ({each.hits} answers)" if each.hits else ""
        times = (f"{each.median:.2f} s", f"{each.worst:.2f} s of {len(each.seconds)}") if each.seconds else ("", "")
        yield f"`{each.fault}`", f"{each.count}{hits}", *times, f"{each.pause:.2f} s"


def _remarks(history: History) -> Iterator[str]:
    remarks = [f"- no `{name}`: {reason}" for name, reason in history.run.get("skipped", {}).items()]
    if history.run.get("wrong_clocks"):
        remarks.append("- clocks of servers and executors were off by up to 90 s and drifted by up to 3 %")
    if history.stalls:
        stalled = sum(end - begin for begin, end in history.stalls)
        remarks.append(f"- {stalled:.1f} s without a processor, which count as a fault")
    yield from remarks
    if remarks:
        yield ""


def _recovered(history: History) -> Iterator[str]:
    recovered = account(history).recovered
    if recovered:
        more = f" and {len(recovered) - _SHOWN_RECOVERED} more" if len(recovered) > _SHOWN_RECOVERED else ""
        yield f"- recovered, made by a create without an answer: {', '.join(recovered[:_SHOWN_RECOVERED])}{more}"


def _violations(violations: Sequence[Violation]) -> Iterator[str]:
    yield from (f"- {violation}" for violation in violations[:_SHOWN])
    if len(violations) > _SHOWN:
        yield f"- and {len(violations) - _SHOWN} more"
