"""One task as a sequential object: what each call does to it and answers. `core.lifecycle.judge` says whether it fits.

The statements of the service are written for sets, locks and a clock; this is what they have to amount to. What time
and the server do by themselves may happen whenever it is possible; checker/timing.py says when it may not.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from taskrpc.core.lifecycle import EDGES, Call, Seen, Verdict, judge
from taskrpc.errors import TaskRpcError

ABSENT: Final = "created"  # as the log calls the status before the creation
HAS_EXECUTION: Final = ("requested", "in-progress", "done")
# What `judge`, or a create, may refuse; other errors say nothing about the task.
REFUSALS: Final = frozenset(
    {"stale-exec-id", "wrong-status", "task-has-been-done", "task-not-found", "task-already-exists"}
)
_UNHEARD: Final = "?"  # the execId of a poll whose answer nobody got


class State(NamedTuple):
    """A task between two calls."""

    status: str = ABSENT
    outcome: str | None = None
    exec_id: str | None = None
    retry_count: int = 0
    version: int = 0
    call: str | None = None
    call_id: str | None = None
    call_version: int = 0
    stop_requested: bool = False
    stop_told: bool = False


class View(NamedTuple):
    """What an answer shows of a task. Without `version` it shows only whether the execution was asked to stop."""

    status: str
    outcome: str | None
    exec_id: str | None
    retry_count: int
    version: int | None
    stop_requested: bool | None = None


class Step(NamedTuple):
    """What one operation does with one task: `answer` is what it showed, `refusal` its error, neither is known of info.

    `name` is a call of EDGES, `create`, `poll` or `read`; `call_id` is the client's, or one that stands for the
    attempt.
    """

    name: str
    invoked: float
    completed: float
    call_id: str
    own_call_id: bool = False
    exec_id: str | None = None
    start: bool = False
    answer: View | None = None
    refusal: str | None = None
    is_open: bool = False  # may never have happened


class Rules(NamedTuple):
    """What a definition and the task's place say: attempts in all; whether it has a `timeout`, may be ended by a
    workflow, was made by somebody else than a client that knew its id, and is one that the server does itself."""

    allowed: int
    drops: bool = False
    in_workflow: bool = False
    made_elsewhere: bool = False
    by_server: bool = False


def view_of(resource: dict[str, Any], stop_requested: bool | None = None) -> View:
    """What a resource shows."""
    return View(
        resource["status"],
        resource.get("outcome"),
        resource.get("execId"),
        resource.get("retryCount", 0),
        int(resource["meta"]["versionId"]),
        stop_requested,
    )


def _moved(state: State, what: str, status: str, **changes: Any) -> State:
    assert (state.status, what, status) in EDGES, f"{state.status} -{what}-> {status} is no edge"
    return state._replace(status=status, version=state.version + 1, **changes)


def _called(state: State, step: Step, status: str, **changes: Any) -> State:
    last = {"call": step.name, "call_id": step.call_id, "call_version": state.version + 1}
    return _moved(state, step.name, status, **last, **changes)


def _attempt_ended(state: State, rules: Rules) -> tuple[str, str | None]:
    if state.stop_requested:
        return "done", "canceled"
    return ("waiting", None) if state.retry_count < rules.allowed else ("done", "failed")


def applied(state: State, step: Step, rules: Rules) -> list[State]:
    """How the task may be after the step; none if it cannot be the next one, or would have been answered otherwise."""
    if step.name == "create":
        return _created(state, step, rules)
    after = {"read": _read, "poll": _polled}.get(step.name, _changed)(state, step, rules)
    return [] if after is None else [after]


def _changed(state: State, step: Step, rules: Rules) -> State | None:
    call = Call(step.name, "task", step.call_id, step.own_call_id, step.exec_id)
    try:
        verdict = judge(call, _seen(state))
    except TaskRpcError as refusal:
        return state if step.refusal == refusal.type else None
    if step.refusal is not None:
        return None
    after = state if verdict is Verdict.REPEAT else _carried_out(state, step, rules)
    shown = after
    if verdict is Verdict.REPEAT and state.version != state.call_version:
        shown = state._replace(status="waiting", version=state.call_version)  # it was due meanwhile, no more
    return after if _fits(step.answer, shown) else None


def _seen(state: State) -> Seen | None:
    if state.status == ABSENT:
        return None
    return Seen(state.status, state.outcome, state.exec_id, state.call, state.call_id)


def _read(state: State, step: Step, _: Rules) -> State | None:
    if state.status == ABSENT:
        return state if step.refusal == "task-not-found" else None
    return state if step.refusal is None and _fits(step.answer, state) else None


def _created(state: State, step: Step, rules: Rules) -> list[State]:
    if state.status != ABSENT:
        return [state] if step.refusal == "task-already-exists" else []
    if step.refusal is not None:
        return []
    if rules.by_server:
        return [_moved(state, "create", "in-progress", retry_count=1)]
    return [
        _moved(state, "create", status) for status in ([step.answer.status] if step.answer else ["ready", "waiting"])
    ]


def _polled(state: State, step: Step, _: Rules) -> State | None:
    if state.status != "ready":
        return None
    status = "in-progress" if step.start else "requested"
    retry_count = state.retry_count + step.start
    after = _called(state, step, status, exec_id=step.exec_id, retry_count=retry_count)
    return after if _fits(step.answer, after) else None


def _fits(answer: View | None, state: State) -> bool:
    if answer is None:
        return True
    if answer.stop_requested is not None and answer.stop_requested != state.stop_requested:
        return False
    if answer.version is None:
        return True
    exec_id = state.exec_id if state.status in HAS_EXECUTION else None
    known = answer.exec_id if exec_id != _UNHEARD else _UNHEARD
    shown = (answer.status, answer.outcome, known, answer.retry_count, answer.version)
    return shown == (state.status, state.outcome, exec_id, state.retry_count, state.version)


def _carried_out(state: State, step: Step, rules: Rules) -> State:
    match step.name:
        case "start":
            return _called(state, step, "in-progress", retry_count=state.retry_count + 1)
        case "notify" | "feedback":
            return _called(state, step, "in-progress", stop_told=state.stop_requested)
        case "success":
            return _called(state, step, "done", outcome="canceled" if state.stop_told else "succeeded")
        case "fail":
            status, outcome = _attempt_ended(state, rules)
            return _called(state, step, status, outcome=outcome)
        case "release":
            return _released(state, step)
        case "cancel":
            return _called(state, step, "done", outcome="canceled")
        case "stop":
            running = state.status == "in-progress" and not rules.by_server
            status, outcome = ("in-progress", None) if running else ("done", "canceled")
            return _called(state, step, status, outcome=outcome, stop_requested=True)
        case "retry":
            anew = {"outcome": None, "exec_id": None, "retry_count": 0, "stop_requested": False, "stop_told": False}
            if rules.by_server:
                return _called(state, step, "in-progress", **anew | {"retry_count": 1})
            return _called(state, step, "ready", **anew)
    raise AssertionError(step.name)


def _released(state: State, step: Step) -> State:
    if state.stop_requested:
        return _called(state, step, "done", outcome="canceled")
    return _called(state, step, "ready", retry_count=state.retry_count - (state.status == "in-progress"))


def by_itself(state: State, rules: Rules) -> Iterator[State]:
    """What can happen to the task without any operation that the history tells."""
    forgotten = {"call": None, "call_id": None}
    match state.status:
        case "created":
            if rules.made_elsewhere:
                yield _moved(state, "create", "ready")
                yield _moved(state, "create", "waiting")
        case "waiting":
            yield _moved(state, "due", "ready")
        case "ready":
            unheard = {"exec_id": _UNHEARD, "call": "poll", "call_id": None}
            yield _moved(state, "poll", "requested", **unheard)
            yield _moved(state, "poll", "in-progress", retry_count=state.retry_count + 1, **unheard)
        case "requested":
            yield _moved(state, "requested-timeout", "ready", **forgotten)
        case "in-progress" if rules.by_server:
            yield _moved(state, "due", "done", outcome="succeeded", **forgotten)
        case "in-progress":
            status, outcome = _attempt_ended(state, rules)
            yield _moved(state, "in-progress-timeout", status, outcome=outcome, **forgotten)
    if state.status in ("requested", "in-progress") and state.exec_id == _UNHEARD:
        yield _released(state, Step("release", 0, 0, call_id="server"))  # it could not be delivered
    if state.status not in (ABSENT, "done"):
        if rules.in_workflow:
            yield _moved(state, "cancel", "done", outcome="canceled", **forgotten)
        if rules.drops:
            outcome = "canceled" if state.stop_requested else "failed"
            yield _moved(state, "dropped", "done", outcome=outcome, **forgotten)
