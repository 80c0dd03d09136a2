"""What `advance` is told, and what it asks for. `at` and durations are microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened, and when."""

    at: int


@dataclass(frozen=True, slots=True)
class Started(Event):
    """The execution may begin; or is to wait for a slot (QUEUE), or must not (CANCEL, FAIL), for `concurrency`."""

    admission: Literal["RUN", "QUEUE", "CANCEL", "FAIL"] = "RUN"


@dataclass(frozen=True, slots=True)
class Began(Event):
    """An executor has started a task."""

    run: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """A task, or a subflow, has ended. `iteration`: which of the subflows of a ForEachItem."""

    run: int
    attempt: int
    state: str
    outputs: Mapping[str, Any] | None = None
    message: str | None = None
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Fired(Event):
    """A timer that was set has run out. `tag` is the one it was set with."""

    run: int
    kind: str
    tag: int


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """Somebody lets a paused run go on; the inputs are checked."""

    run: int
    inputs: Mapping[str, Any] = field(default_factory=dict)
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Killed(Event):
    """Somebody ends the execution."""


@dataclass(frozen=True, slots=True)
class Restarted(Event):
    """Somebody has failed and paused runs done again."""


@dataclass(frozen=True, slots=True)
class Continued(Event):
    """Nothing has happened; go on with what was left."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to be done outside, in the transaction that stores the changes. `run` is the number of a run."""

    run: int


@dataclass(frozen=True, slots=True)
class StartTask(Action):
    """Queue a task; `directory` is the run of the WorkingDirectory whose executor has to do it."""

    attempt: int
    type: str
    params: Mapping[str, Any]
    directory: int | None = None


@dataclass(frozen=True, slots=True)
class StartFlow(Action):
    """Start a subflow under this id; its end is told as `Ended` of (run, attempt, iteration), if `wait`.

    With `restart` there is an execution of this id, of the same (run, attempt, iteration). If it has FAILED, restart
    it; if it has come to another end, tell that end again; else its end is still to come.
    """

    attempt: int
    id: str
    namespace: str
    flow: str
    revision: int | None
    inputs: Mapping[str, Any]
    labels: Mapping[str, str]
    trigger: Mapping[str, Any]
    wait: bool
    correlation_id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    iteration: int | None = None
    restart: bool = False


@dataclass(frozen=True, slots=True)
class EndTask(Action):
    """Cancel what was queued or started for this attempt: a task, or subflows."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CloseDirectory(Action):
    """Tell the executor of a WorkingDirectory that nothing comes any more; the task's end is told as `Ended`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class SetTimer(Action):
    """Tell `Fired` with this kind and tag, `after` from the event's time on."""

    kind: str
    tag: int
    after: int


@dataclass(frozen=True, slots=True)
class Log(Action):
    """A line of the execution's log."""

    at: int
    level: str
    message: str
    task: str


@dataclass(frozen=True, slots=True)
class End(Action):
    """The execution is in a final state. `asked` are outputs that the parent asked for, or None with a `problem`."""

    state: str
    outputs: Mapping[str, Any] | None
    asked: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Finish(Action):
    """Everything has been done, afterExecution too: a slot of `concurrency` is free."""


@dataclass(frozen=True, slots=True)
class StartAgain(Action):
    """Replay the execution from its beginning as a new one, as try number `tries`, after a while."""

    tries: int
    after: int
