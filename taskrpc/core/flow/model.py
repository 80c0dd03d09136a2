"""A flow as it is run: tasks in lists, each with what it says about itself; made by `parse`, then never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Behavior = Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"]


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed task is tried again. Durations are microseconds; `max_attempts` counts the first one too."""

    type: Literal["constant", "exponential", "random"]
    interval: int
    max_interval: int
    factor: float = 2.0
    max_attempts: int | None = None
    max_duration: int | None = None
    warning: bool = False
    behavior: Behavior = "RETRY_FAILED_TASK"


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `type` is the short name, `kind` the last part of it for what the server does itself, else "task".

    `written_type` is the type as it stands in the flow.

    `properties` is as written, without what stands in the other fields; `lists` has the tasks below it by the name of
    their list (`tasks`, `errors`, `finally`, `then`, `cases.NAME`, …).
    """

    id: str
    type: str
    kind: str
    properties: Mapping[str, Any]
    lists: Mapping[str, tuple["Task", ...]] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    disabled: bool = False
    run_if: str = "true"
    allow_failure: bool = False
    allow_warning: bool = False
    timeout: str | None = None
    retry: Retry | None = None
    log_level: str | None = None
    written_type: str = ""

    def list_of(self, name: str) -> tuple["Task", ...]:
        """The tasks of a list; none if it has no such list."""
        return self.lists.get(name, ())


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input; `rules` has what its type asks for besides."""

    id: str
    type: str
    required: bool = True
    defaults: Any = None
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output of a flow: an expression, and the type that its value is read as."""

    id: str
    value: Any
    type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Sla:
    """What an execution promises: to end within `duration` (microseconds), or to keep `condition` true."""

    id: str
    type: Literal["MAX_DURATION", "EXECUTION_ASSERTION"]
    behavior: Literal["FAIL", "CANCEL", "NONE"]
    duration: int | None = None
    condition: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that a start by a caller has to meet."""

    condition: str
    message: str
    style: str = "INFO"
    behavior: Literal["BLOCK_EXECUTION", "FAIL_EXECUTION", "CREATE_EXECUTION"] = "BLOCK_EXECUTION"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` executions at once; what happens to one more."""

    limit: int
    behavior: Literal["QUEUE", "CANCEL", "FAIL"] = "QUEUE"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts executions by itself: a schedule, another flow's end, a webhook. `properties` as checked."""

    id: str
    type: Literal["Schedule", "Flow", "Webhook"]
    properties: Mapping[str, Any]
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow. `tasks` has all tasks by id, nested ones too; `lists` its own: tasks, errors, finally, afterExecution."""

    namespace: str
    id: str
    lists: Mapping[str, tuple[Task, ...]]
    tasks: Mapping[str, Task]
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    retry: Retry | None = None
    sla: tuple[Sla, ...] = ()
    checks: tuple[Check, ...] = ()
    concurrency: Concurrency | None = None
    triggers: tuple[Trigger, ...] = ()
    disabled: bool = False
    revision: int = 1

    def list_of(self, name: str) -> tuple[Task, ...]:
        """The tasks of a list; none if it has no such list."""
        return self.lists.get(name, ())
