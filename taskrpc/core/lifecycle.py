"""The life cycle of a task: its edges as data, and what a call about a task means for the task as it is.

docs/states.md draws the same edges, and the SQL statements name theirs in a comment; a test holds the three together.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal, NamedTuple

from taskrpc.errors import TaskRpcError

STATUSES: Final = ("created", "waiting", "ready", "requested", "in-progress", "done")
OUTCOMES: Final = ("succeeded", "failed", "canceled")

# (status before, what happens, status after). What happens is the name of a call, or one of the reaper's reasons.
EDGES: Final = frozenset(
    {
        ("created", "create", "ready"),
        ("created", "create", "waiting"),
        ("created", "create", "in-progress"),
        ("waiting", "due", "ready"),
        ("ready", "poll", "requested"),
        ("ready", "poll", "in-progress"),
        ("requested", "start", "in-progress"),
        ("requested", "requested-timeout", "ready"),
        ("requested", "release", "ready"),
        ("in-progress", "notify", "in-progress"),
        ("in-progress", "feedback", "in-progress"),
        ("in-progress", "success", "done"),
        ("in-progress", "due", "done"),
        ("in-progress", "event", "done"),
        ("in-progress", "fail", "waiting"),
        ("in-progress", "fail", "done"),
        ("in-progress", "release", "ready"),
        ("in-progress", "release", "done"),
        ("in-progress", "in-progress-timeout", "waiting"),
        ("in-progress", "in-progress-timeout", "done"),
        ("in-progress", "stop", "in-progress"),
        *((status, "stop", "done") for status in ("waiting", "ready", "requested", "in-progress")),
        *((status, "cancel", "done") for status in ("waiting", "ready", "requested", "in-progress")),
        *((status, "dropped", "done") for status in ("waiting", "ready", "requested", "in-progress")),
        ("done", "retry", "ready"),
        ("done", "retry", "in-progress"),
    }
)

# The same for workflows; here "created" is also the status of one that waits for its executeAt.
WORKFLOW_EDGES: Final = frozenset(
    {
        ("created", "create", "created"),
        ("created", "create", "in-progress"),
        ("created", "due", "in-progress"),
        ("in-progress", "complete-workflow", "done"),
        ("in-progress", "fail", "done"),
        ("in-progress", "unknown-error", "done"),
        ("in-progress", "decision-failed", "done"),
        ("in-progress", "nothing-left-to-do", "done"),
        ("in-progress", "flow-ended", "done"),
        ("done", "restart", "in-progress"),
        *((status, "cancel", "done") for status in ("created", "in-progress")),
        *((status, "dropped", "done") for status in ("created", "in-progress")),
    }
)


def _allowed_from(edges: frozenset[tuple[str, str, str]]) -> Mapping[str, frozenset[str]]:
    return {
        call: frozenset(before for before, what, _ in edges if what == call) for call in {what for _, what, _ in edges}
    }


ALLOWED_FROM: Final = _allowed_from(EDGES)
_ALLOWED: Final = {"task": ALLOWED_FROM, "workflow": _allowed_from(WORKFLOW_EDGES)}

_HAS_EXECUTION: Final = frozenset({"requested", "in-progress", "done"})


class Call(NamedTuple):
    """A call about one task: `name` as in EDGES, `exec_id` where the call belongs to an execution.

    `call_id` is the client's, or one that the server made (`own_call_id` false). `kind` is workflow for one about a
    workflow, of which there is only cancel.
    """

    name: str
    task_id: str
    call_id: str
    own_call_id: bool
    exec_id: str | None = None
    kind: Literal["task", "workflow"] = "task"


class Seen(NamedTuple):
    """What decides about a call: the task as a statement has seen it, and the last call that changed it."""

    status: str
    outcome: str | None
    exec_id: str | None
    call: str | None
    call_id: str | None


class Verdict(Enum):
    """What a call that changed nothing is: a repeat of what was done, or one that fits and has to try again."""

    REPEAT = "repeat"
    FITS = "fits"


def _is_repeat(call: Call, task: Seen) -> bool:
    # A call that is sent again has the same execId: who only guesses the id of a call is not told what it has answered.
    if task.call != call.name or (call.exec_id is not None and call.exec_id != task.exec_id):
        return False
    if task.call_id == call.call_id:
        return True
    # The execution that ended the task, or sent it to its retry, says so again without an id of its call.
    ended = call.name in ("success", "fail") and task.status not in ("requested", "in-progress")
    return ended and not call.own_call_id


def _wrong_status(call: Call, task: Seen) -> TaskRpcError:
    data = {"status": task.status} | ({"outcome": task.outcome} if task.outcome else {})
    now = f"{task.status} ({task.outcome})" if task.outcome else task.status
    if call.name in ("cancel", "stop"):
        subject = f"{call.kind.capitalize()} {call.task_id}"
        return TaskRpcError(f"{call.kind}-has-been-done", f"{subject} is done already: {task.outcome}", data)
    allowed = " or ".join(sorted(ALLOWED_FROM[call.name]))
    if call.name == "retry":
        allowed = "done with outcome failed or canceled"
    return TaskRpcError(
        "wrong-status", f"Task {call.task_id} is {now}; {call.name} needs a task that is {allowed}", data
    )


def judge(call: Call, task: Seen | None) -> Verdict:
    """What to answer to a call that changed no row; `task` is None when there is none.

    Checked in the order of the protocol: task-not-found, a repeat, stale-exec-id, wrong-status. FITS means that the
    row was locked or changed under the statement: the call belongs into the next one. Raises TaskRpcError.
    """
    if task is None:
        raise not_found(call.task_id, call.kind)
    if _is_repeat(call, task):
        return Verdict.REPEAT
    current = task.exec_id if task.status in _HAS_EXECUTION else None
    if call.exec_id is not None and call.exec_id != current:
        raise TaskRpcError(
            "stale-exec-id",
            f"execId {call.exec_id[:80]} is not the current execution of task {call.task_id}",
            {"status": task.status},
        )
    if task.status not in _ALLOWED[call.kind][call.name]:
        raise _wrong_status(call, task)
    if call.name == "retry" and task.outcome == "succeeded":
        raise _wrong_status(call, task)
    return Verdict.FITS


def not_found(task_id: str, kind: str = "task") -> TaskRpcError:
    """`task-not-found` or `workflow-not-found`, with the id that was asked for."""
    return TaskRpcError(f"{kind}-not-found", f"There is no {kind} {task_id[:80]!r}")


def phase(status: str, outcome: str | None, stop_requested: bool) -> str:
    """The phase of a task for those who start background processes and watch them."""
    if status == "done":
        return {"succeeded": "completed", "canceled": "stopped"}.get(outcome or "", "error")
    if status == "in-progress":
        return "stopping" if stop_requested else "running"
    return "queued"
