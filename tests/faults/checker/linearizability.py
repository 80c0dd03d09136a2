"""Rule 3: the calls about each task took effect one after the other, each between its begin and its answer.

The search is that of Wing and Gong with Lowe's memory of what was tried: states that were reached with the same calls
done. A call without an answer takes effect at any time after its begin, or never. Versions in answers keep the search
short.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from math import inf
from typing import Final

from tests.faults.checker.task_model import (
    ABSENT,
    REFUSALS,
    Rules,
    State,
    Step,
    applied,
    by_itself,
    view_of,
)
from tests.faults.checker.violation import Violation
from tests.faults.history import WORKFLOW, History, Operation, Record
from tests.faults.occasions import BY_SERVER
from tests.faults.windows import touching

MOST_STATES: Final = 200_000
_CALLS: Final = frozenset(
    f"task/{name}" for name in ("start", "notify", "feedback", "success", "fail", "release", "cancel", "stop", "retry")
)
_DATABASE_GRACE_SECONDS: Final = 1.0
_REPEATS: Final = 2


def check_linearizability(history: History) -> Iterator[Violation]:
    """A violation for every task whose calls fit no order, or whose search had no end."""
    steps = _steps_by_task(history)
    for task_id, resource in history.resources.items():
        if resource["resourceType"] == WORKFLOW:
            continue
        found = steps.get(task_id, [])
        made_elsewhere = not any(step.name == "create" for step in found)
        rules = _rules(history, resource)._replace(made_elsewhere=made_elsewhere)
        last = max((step.completed for step in found if step.completed < inf), default=0.0)
        final = Step("read", last, inf, "the end", answer=view_of(resource))
        verdict = linearizable([*found, final], rules)
        if isinstance(verdict, str):
            yield Violation(3, task_id, verdict)


def _rules(history: History, resource: Record) -> Rules:
    spec = history.spec(resource)
    drops = spec.timeout is not None and "workflow-definition" not in resource
    by_server = resource["definition"] in BY_SERVER
    return Rules(spec.allowedRetryCount, drops, "requester" in resource, by_server=by_server)


def _steps_by_task(history: History) -> dict[str, list[Step]]:
    groups: dict[str, list[Step]] = {}
    for task_id, step in chain.from_iterable(_steps(history, each) for each in history.operations):
        groups.setdefault(task_id, []).append(step)
    return groups


def _steps(history: History, operation: Operation) -> Iterator[tuple[str, Step]]:
    """What an operation did with tasks, by their ids."""
    span = (operation.invoked, operation.completed)
    for handed in operation.handed_out():
        asked = operation.params.get("poll", operation.params)
        start = bool(asked.get("start", False))
        yield (
            handed["id"],
            Step("poll", *span, operation.op, exec_id=handed["execId"], start=start, answer=view_of(handed)),
        )
    if operation.end == "fail" and operation.error_type not in REFUSALS:
        return
    task_id = operation.params.get("id") or _named_by_the_server(operation)
    if task_id is None:
        return
    if operation.name in ("task/status", "task/result") and operation.end != "info":
        answer = view_of(operation.heard["resource"]) if operation.end == "ok" else None
        yield task_id, Step("read", *span, operation.op, answer=answer, refusal=operation.error_type)
    elif operation.name == "task/create-and-execute":
        yield from ((task_id, step) for step in _creating(operation))
    elif operation.name in _CALLS:
        yield from ((task_id, step) for step in _calling(history, operation))


def _named_by_the_server(operation: Operation) -> str | None:
    named = operation.end == "ok" and operation.name == "task/create-and-execute"
    return operation.heard["resource"]["id"] if named else None


def _creating(operation: Operation) -> Iterator[Step]:
    """A create that was repeated inside answers the task as it is by then: the effect and a look at it."""
    span = (operation.invoked, operation.completed)
    if operation.end == "info":
        yield Step("create", *span, operation.op, is_open=True)
        return
    if operation.end == "fail":
        yield Step("create", *span, operation.op, refusal=operation.error_type)
        return
    seen = view_of(operation.heard["resource"])
    first = seen if seen.version == 1 else None
    yield Step("create", *span, operation.op, answer=first)
    if first is None:
        yield Step("read", *span, operation.op, answer=seen)


def _calling(history: History, operation: Operation) -> Iterator[Step]:
    call_id = operation.params.get("callId")
    step = Step(
        operation.name.removeprefix("task/"),
        operation.invoked,
        operation.completed,
        call_id or operation.op,
        call_id is not None,
        operation.params.get("execId"),
    )
    if operation.end == "info":
        yield step._replace(is_open=True, completed=inf)
        return
    if touching(
        history.reach.outages_of(operation.server), operation.invoked, operation.completed, _DATABASE_GRACE_SECONDS
    ):
        # The server repeats what broke in its commit. A task remembers its last call: once another one came between,
        # the repeat is judged like a new call (docs/protocol.md), and may be carried out again, or refused after it
        # was.
        yield from [step._replace(is_open=True, completed=inf)] * _REPEATS
    if operation.end == "fail":
        yield step._replace(refusal=operation.error_type)
    elif operation.name == "task/notify":
        asked = bool(operation.heard.get("stopRequested", False))
        yield step._replace(answer=view_of(_NO_RESOURCE, asked)._replace(version=None))
    else:
        stop = operation.heard.get("stopRequested") if operation.name == "task/feedback" else None
        yield step._replace(answer=view_of(operation.heard["resource"], stop))


_NO_RESOURCE: Final[Record] = {"status": "in-progress", "meta": {"versionId": "0"}}


def linearizable(steps: Sequence[Step], rules: Rules) -> str | None:
    """None, or what is wrong with these steps of one task."""
    steps = sorted(steps, key=lambda step: step.invoked)
    most = max((step.answer.version for step in steps if step.answer and step.answer.version), default=0)
    everything = sum(1 << n for n, step in enumerate(steps) if not step.is_open)
    tried: set[tuple[int, State]] = set()
    stack = [(0, State())]
    deepest = 0
    while stack:
        done, state = stack.pop()
        if done & everything == everything:
            return None
        if (done, state) in tried or _is_behind(steps, done, state):
            continue
        tried.add((done, state))
        if len(tried) > MOST_STATES:
            return f"undecided after {MOST_STATES} states"
        deepest = max(deepest, done & everything, key=int.bit_count)
        if state.version < most:
            stack.extend((done, after) for after in by_itself(state, rules))
        for n in _possible(steps, done):
            for after in applied(state, steps[n], rules):
                if not (steps[n].is_open and after == state):
                    stack.append((done | 1 << n, after))
    return _explained(steps, everything & ~deepest)


def _possible(steps: Sequence[Step], done: int) -> list[int]:
    """Which steps may come next: none of the others had its answer before they began. The last one is the most
    likely."""
    left = [n for n in range(len(steps)) if not done >> n & 1]
    first_answer = min((steps[n].completed for n in left if not steps[n].is_open), default=inf)
    possible = [n for n in left if steps[n].invoked <= first_answer]
    return sorted(possible, key=lambda n: (not steps[n].is_open, -n))


def _is_behind(steps: Sequence[Step], done: int, state: State) -> bool:
    """Whether a step is left that showed an earlier version than the task has by now."""
    if state.status == ABSENT:
        return False
    return any(
        step.name in ("read", "poll") and step.answer is not None and (step.answer.version or inf) < needed
        for n, step in enumerate(steps)
        if not done >> n & 1
        for needed in (state.version + (step.name == "poll"),)
    )


def _explained(steps: Sequence[Step], left: int) -> str:
    """The steps for which no place was found, in the attempt that found most."""
    placeless = [step for n, step in enumerate(steps) if left >> n & 1]
    shown = [
        f"{step.name} by {step.call_id} at {step.invoked:.3f} ({step.refusal or step.answer})" for step in placeless[:3]
    ]
    return f"no order of its calls is possible; left are {len(placeless)}: " + "; ".join(shown)
