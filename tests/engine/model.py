"""The life cycle of tasks as docs/protocol.md tells it: small, pure, and written apart from the server's own rules.

It knows the answer to every call, and which tasks a poll may hand out. Times are milliseconds since `EPOCH`.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import ANY

EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)
HAS_EXECUTION: Final = ("requested", "in-progress", "done")
RUNS: Final = ("requested", "in-progress")

View = dict[str, Any]


def shown(at: int) -> str:
    """A time as the protocol writes it."""
    return (EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Refused(Exception):
    """The call is refused with this type of error; `data` is what the protocol promises with it."""

    def __init__(self, type: str, **data: object) -> None:
        super().__init__(type)
        self.type = type
        self.data = data


@dataclass(frozen=True)
class Definition:
    """What a definition says, in milliseconds; None is no limit."""

    allowed: int = 2
    retry_delay: int = 10_000
    requested_timeout: int = 10_000
    run_timeout: int = 30_000
    timeout: int | None = None
    concurrency: int | None = None
    queue: int | None = None

    def fields(self) -> dict[str, int]:
        """As `awf.definition/put` takes it."""
        given = {
            "allowedRetryCount": self.allowed, "retryDelay": self.retry_delay,
            "requestedToStartTimeout": self.requested_timeout, "inProgressTimeout": self.run_timeout,
            "timeout": self.timeout, "concurrencyLimit": self.concurrency, "queueLimit": self.queue,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Call:
    """A call about one task, its params by their names on the wire."""

    method: str
    task_id: str
    exec_id: str | None = None
    call_id: str | None = None
    params: tuple[tuple[str, Any], ...] = ()


@dataclass
class Task:
    """One task. `lease_at` is what its executor was told, `deadline` when its time is really over."""

    id: str
    definition: Definition
    priority: int
    due_at: int
    drop_at: int | None
    status: str
    execute_at: int | None = None
    version: int = 1
    retry_count: int = 0
    attempts: int = 0
    exec_id: str | None = None
    outcome: str | None = None
    reason: str | None = None
    lease_at: int = 0
    deadline: int = 0
    stop_requested: bool = False
    stop_told: bool = False
    documents: dict[str, Any] = field(default_factory=dict)
    last: Call | None = None
    last_answer: View = field(default_factory=dict)

    def view(self) -> View:
        """What a resource shows, without what the client gave and without `meta`."""
        given: View = {
            "status": self.status,
            "execId": self.exec_id if self.status in HAS_EXECUTION else None,
            "retryCount": self.retry_count or None,
            "priority": self.priority or None,
            "executeAt": None if self.execute_at is None else shown(self.execute_at),
            "outcome": self.outcome,
            "outcomeReason": self.reason,
            **self.documents,
        }
        if self.status == "in-progress":
            given["inProgressTimeout"] = self.definition.run_timeout
            given["inProgressTimeoutAt"] = shown(self.lease_at) if self.lease_at == self.deadline else ANY
        return {name: value for name, value in given.items() if value is not None}


class Model:
    """All tasks of a database, and its clock."""

    def __init__(self, definitions: dict[str, Definition]) -> None:
        self.definitions = definitions
        self.tasks: dict[str, Task] = {}
        self.names: dict[str, str] = {}
        self.execs: list[str] = []
        self.now = 0

    def copy(self) -> "Model":
        """Another model that may go another way."""
        return deepcopy(self)

    def of(self, name: str, *statuses: str) -> list[Task]:
        """The tasks of a definition with these statuses."""
        return [t for t in self.tasks.values() if self.names[t.id] == name and t.status in statuses]

    def create(self, task_id: str, name: str, execute_at: int | None, priority: int) -> View:
        """`create-and-execute`."""
        if task_id in self.tasks:
            raise Refused("task-already-exists")
        self._require_room(name)
        later = execute_at is not None and execute_at > self.now
        definition = self.definitions[name]
        drop_at = None if definition.timeout is None else self.now + definition.timeout
        due_at = execute_at if later and execute_at is not None else self.now
        status = "waiting" if later else "ready"
        self.tasks[task_id] = Task(task_id, definition, priority, due_at, drop_at, status, execute_at)
        self.names[task_id] = name
        return self.tasks[task_id].view()

    def _require_room(self, name: str) -> None:
        limit = self.definitions[name].queue
        if limit is not None and len(self.of(name, "waiting", "ready", *RUNS)) >= limit:
            raise Refused("queue-limit-reached")

    def call(self, call: Call) -> View:
        """The answer to a call about one task, whose effect it has; raises Refused."""
        task = self.tasks.get(call.task_id)
        if task is None:
            raise Refused("task-not-found")
        if self._is_repeat(call, task):
            return task.last_answer
        if call.exec_id is not None and (task.status not in HAS_EXECUTION or call.exec_id != task.exec_id):
            raise Refused("stale-exec-id")
        answer = EFFECTS[call.method](self, task, dict(call.params))
        task.version += 1
        task.last, task.last_answer = call, answer if answer is not None else task.view()
        if task.stop_requested and task.status == "in-progress":
            task.last_answer["stopRequested"] = True
        return task.last_answer

    @staticmethod
    def _is_repeat(call: Call, task: Task) -> bool:
        if task.last is None or (task.last.method, task.last.exec_id) != (call.method, call.exec_id):
            return False
        if call.call_id is not None:
            return call.call_id == task.last.call_id
        return call.method in ("success", "fail") and task.status not in RUNS

    def most_handed_out(self, names: Iterable[str]) -> int:
        """How many tasks of these definitions may be handed out now."""
        return sum(min(len(self.of(name, "ready")), self._slots(name)) for name in names)

    def _slots(self, name: str) -> int:
        limit = self.definitions[name].concurrency
        return len(self.tasks) if limit is None else max(limit - len(self.of(name, *RUNS)), 0)

    def hand_out(self, handed: list[tuple[str, str]], names: list[str], most: int, start: bool) -> list[View]:
        """A poll that handed out these ids with these execIds; fails where it may not have."""
        expected = min(most, self.most_handed_out(names))
        assert len(handed) == expected, f"{len(handed)} tasks were handed out, {expected} of {names} may be"
        self._check_order([self.tasks[task_id] for task_id, _ in handed], names)
        return [self._hand_out(self.tasks[task_id], exec_id, names, start) for task_id, exec_id in handed]

    def _check_order(self, handed: list[Task], names: list[str]) -> None:
        # Slots of limited definitions are given away before the poll, so that only the others' order is promised.
        free = [name for name in names if self.definitions[name].concurrency is None]
        of_free = [task for task in handed if self.names[task.id] in free]
        places = [(-task.priority, task.due_at) for task in handed]
        assert places == sorted(places), "a poll hands out higher priorities, then older tasks first"
        left = [t for name in free for t in self.of(name, "ready") if t not in handed]
        if of_free and left:
            last = max((-task.priority, task.due_at) for task in of_free)
            assert last <= min((-task.priority, task.due_at) for task in left), "a poll passed an earlier task"

    def _hand_out(self, task: Task, exec_id: str, names: list[str], start: bool) -> View:
        assert task.status == "ready", f"a task that is {task.status} was handed out"
        assert self.names[task.id] in names, "a task of another definition was handed out"
        assert exec_id not in self.execs, "an execId was given twice"
        assert self._slots(self.names[task.id]) > 0, "the concurrencyLimit was exceeded"
        self.execs.append(exec_id)
        task.status, task.exec_id, task.stop_told = "requested", exec_id, False
        task.version, task.last = task.version + 1, None
        task.lease_at = task.deadline = self.now + task.definition.requested_timeout
        if start:
            _start(self, task, {})
        return task.view()

    def reap(self) -> None:
        """Everything that time has made due is carried out."""
        while any(self._reap(task) for task in self.tasks.values()):
            pass

    def _reap(self, task: Task) -> bool:
        version = task.version
        if task.status == "waiting" and task.due_at <= self.now:
            task.status, task.version = "ready", version + 1
        elif task.status == "requested" and task.deadline <= self.now:
            task.status, task.due_at = "ready", self.now
            task.version, task.last = version + 1, None
        elif task.status == "in-progress" and task.deadline <= self.now:
            _end_attempt(self, task, "awf.task/failed-due-to-in-progress-timeout")
            task.version, task.last = version + 1, None
        if task.status != "done" and task.drop_at is not None and task.drop_at <= self.now:
            _end(task, "canceled" if task.stop_requested else "failed", "awf.task/dropped")
            task.version, task.last = task.version + 1, None
        return task.version != version

    def outage(self) -> None:
        """No server and no database was there for longer than 5 s, until now.

        When the new deadlines are shown is not promised.
        """
        for task in self.tasks.values():
            if task.status in RUNS:
                spec = task.definition
                whole = spec.requested_timeout if task.status == "requested" else spec.run_timeout
                task.deadline = max(task.deadline, self.now + whole)
                if task.deadline != task.lease_at:
                    task.last_answer = {
                        n: ANY if n == "inProgressTimeoutAt" else v for n, v in task.last_answer.items()
                    }


def _require(task: Task, *statuses: str) -> None:
    if task.status not in statuses:
        data = {"status": task.status} | ({"outcome": task.outcome} if task.outcome else {})
        raise Refused("wrong-status", **data)


def _end(task: Task, outcome: str, reason: str | None = None) -> None:
    task.status, task.outcome = "done", outcome
    task.reason = reason if outcome == "failed" else None


def _end_attempt(model: Model, task: Task, reason: str) -> None:
    if task.stop_requested:
        _end(task, "canceled")
    elif task.retry_count < task.definition.allowed:
        task.status = "waiting"
        task.execute_at = task.due_at = model.now + task.definition.retry_delay
    else:
        _end(task, "failed", reason)


def _start(model: Model, task: Task, params: View) -> None:
    _require(task, "requested")
    task.status = "in-progress"
    task.retry_count += 1
    task.attempts += 1
    assert task.attempts <= task.definition.allowed, "more attempts than allowed in a generation"
    task.lease_at = task.deadline = model.now + task.definition.run_timeout


def _notify(model: Model, task: Task, params: View) -> View:
    _require(task, "in-progress")
    if not task.stop_requested:
        task.lease_at = task.deadline = model.now + task.definition.run_timeout
    task.stop_told = task.stop_requested
    if params["notification"] == "progress":
        task.documents["progress"] = {"current": params["progress-current"]}
    return {name: task.view()[name] for name in ("inProgressTimeout", "inProgressTimeoutAt")}


def _feedback(model: Model, task: Task, params: View) -> None:
    _require(task, "in-progress")
    task.stop_told = task.stop_requested
    former = task.documents.get("feedback", [])
    listed = former if isinstance(former, list) else [former]
    given = params["feedback"]
    task.documents = {**task.documents, "feedback": [*listed, given] if params["append"] else given}


def _success(model: Model, task: Task, params: View) -> None:
    _require(task, "in-progress")
    _end(task, "canceled" if task.stop_told else "succeeded")
    task.documents = {**task.documents, "result": params.get("result"), "error": None}


def _fail(model: Model, task: Task, params: View) -> None:
    _require(task, "in-progress")
    task.documents = {**task.documents, "error": params.get("error")}
    _end_attempt(model, task, "awf.task/failed-by-executor")


def _release(model: Model, task: Task, params: View) -> None:
    _require(task, *RUNS)
    if task.stop_requested:
        _end(task, "canceled")
        return
    if task.status == "in-progress":
        task.retry_count -= 1
        task.attempts -= 1
    task.status = "ready"


def _cancel(model: Model, task: Task, params: View) -> None:
    if task.status == "done":
        raise Refused("task-has-been-done")
    _end(task, "canceled")


def _stop(model: Model, task: Task, params: View) -> None:
    if task.status != "in-progress":
        return _cancel(model, task, params)
    task.stop_requested = True
    return None


def _retry(model: Model, task: Task, params: View) -> None:
    _require(task, "done")
    if task.outcome == "succeeded":
        raise Refused("wrong-status", status="done", outcome="succeeded")
    model._require_room(model.names[task.id])
    kept = {name: value for name, value in task.documents.items() if name == "feedback"}
    renewed = Task(task.id, task.definition, task.priority, model.now, None, "ready", documents=kept)
    timeout = task.definition.timeout
    renewed.drop_at = None if timeout is None else model.now + timeout
    renewed.version = task.version
    task.__dict__.update(renewed.__dict__)


EFFECTS: Final[dict[str, Callable[[Model, Task, View], View | None]]] = {
    "start": _start, "notify": _notify, "feedback": _feedback, "success": _success, "fail": _fail,
    "release": _release, "cancel": _cancel, "stop": _stop, "retry": _retry,
}  # fmt: skip

# What the log may say of a task: status before, action, status after.
LEGAL: Final = frozenset(
    (before, f"awf.task/{action}", after)
    for befores, action, after in (
        ("created", "create-and-execute", "waiting"), ("created", "create-and-execute", "ready"),
        ("waiting", "due", "ready"), ("ready", "poll", "requested"), ("ready", "poll", "in-progress"),
        ("requested", "start", "in-progress"), ("requested", "requested-timeout", "ready"),
        ("requested in-progress", "release", "ready"), ("in-progress", "release", "done"),
        ("in-progress", "notify", "in-progress"), ("in-progress", "feedback", "in-progress"),
        ("in-progress", "success", "done"), ("in-progress", "fail", "waiting"), ("in-progress", "fail", "done"),
        ("in-progress", "in-progress-timeout", "waiting"), ("in-progress", "in-progress-timeout", "done"),
        ("waiting ready requested in-progress", "cancel", "done"), ("waiting ready requested", "stop", "done"),
        ("in-progress", "stop", "in-progress"), ("waiting ready requested in-progress", "dropped", "done"),
        ("done", "retry", "ready"),
    )
    for before in befores.split()
)  # fmt: skip
