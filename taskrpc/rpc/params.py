"""Parameters of the methods about tasks, as types, and what those of all methods have in common.

Names on the wire are the aliases; the rest of the file is only rules.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from taskrpc.core.built_in import refuse_polls
from taskrpc.core.callback import Target
from taskrpc.core.definition import Label, Name, Priority, shown
from taskrpc.core.ids import ID_RULE, is_id
from taskrpc.core.lifecycle import OUTCOMES, STATUSES
from taskrpc.core.timestamps import parse_time

LONGEST_WAIT_MS: Final = 600_000
DEFAULT_WAIT_MS: Final = 60_000
MOST_LISTED: Final = 1000
_MOST_DEFINITIONS: Final = 1000


def without_nulls(value: Any) -> Any:
    """`value`, if it is a mapping without what is null in it: that counts as absent. Documents within keep theirs."""
    if isinstance(value, dict) and None in value.values():
        return {key: item for key, item in value.items() if item is not None}
    return value


class Tolerant(BaseModel):
    """Params of the six methods that executors of the original API use: what is not known is ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=False)


class Exact(BaseModel):
    """Params of all other methods: what is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


def _well_formed(value: str) -> str:
    if not is_id(value):
        raise ValueError(f"{ID_RULE}, not {shown(value)}")
    return value


def _time(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"a time like 2023-05-04T15:30:43Z is expected, not {shown(value)}")
    return parse_time(value)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


NewId = Annotated[StrictStr, AfterValidator(_well_formed)]
CallId = Annotated[StrictStr, Field(min_length=1, max_length=255)]
Time = Annotated[datetime, BeforeValidator(_time)]
Definitions = Annotated[list[StrictStr], Field(max_length=_MOST_DEFINITIONS)]
Wait = Annotated[StrictInt, Field(ge=0, le=LONGEST_WAIT_MS)]
Count = Annotated[StrictInt, Field(ge=1, le=MOST_LISTED)]
PageNumber = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Revision = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]
ONE_OR_MORE: Final = BeforeValidator(_listed)
NULLS_ABSENT: Final = BeforeValidator(without_nulls)  # for a model within another
Status = Literal["created", "waiting", "ready", "requested", "in-progress", "done"]
Outcome = Literal["succeeded", "failed", "canceled"]
assert set(STATUSES) == set(Status.__args__)  # type: ignore[attr-defined]
assert set(OUTCOMES) == set(Outcome.__args__)  # type: ignore[attr-defined]


def _polled(names: list[str]) -> list[str]:
    refuse_polls(names)
    return names


class Poll(Tolerant):
    """`poll`: which definitions, how many tasks, and whether they are started at once."""

    task_definitions: Annotated[Definitions, AfterValidator(_polled)] | None = Field(None, alias="taskDefinitions")
    workflow_definitions: Definitions | None = Field(None, alias="workflowDefinitions")
    max_batch_size: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(1, alias="maxBatchSize")
    start: StrictBool = False

    @model_validator(mode="after")
    def _names_some(self) -> "Poll":
        if self.task_definitions is None and self.workflow_definitions is None:
            raise ValueError("taskDefinitions or workflowDefinitions has to be given")
        return self

    @property
    def queues(self) -> frozenset[tuple[str, str]]:
        tasks = {("task", name) for name in self.task_definitions or ()}
        return frozenset(tasks | {("decision", name) for name in self.workflow_definitions or ()})


class LongPoll(Poll):
    """`long-poll`: as poll, and how long to wait in ms."""

    timeout: Wait = DEFAULT_WAIT_MS


class NextPoll(Poll):
    """The `poll` of an end: as long-poll, but without waiting unless it says so."""

    timeout: Wait = 0


class OfExecution(Tolerant):
    """A call of one execution."""

    id: StrictStr
    exec_id: StrictStr = Field(alias="execId")
    call_id: CallId | None = Field(None, alias="callId")


class Notify(OfExecution):
    """`notify`: a heartbeat with a message, or progress."""

    notification: Annotated[
        Literal["heartbeat", "progress"],
        BeforeValidator(lambda value: value.removeprefix("awf.task/") if isinstance(value, str) else value),
    ]
    message: StrictStr | None = None
    current: StrictInt | None = Field(None, alias="progress-current")
    total: StrictInt | None = Field(None, alias="progress-total")
    unit: StrictStr | None = Field(None, alias="progress-unit")

    @model_validator(mode="after")
    def _progress_has_a_value(self) -> "Notify":
        if self.notification == "progress" and self.current is None:
            raise ValueError("progress-current is required for the notification progress")
        return self

    @property
    def progress(self) -> dict[str, object] | None:
        """What the task keeps of its progress."""
        if self.notification != "progress":
            return None
        given = {"current": self.current, "total": self.total, "unit": self.unit}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def detail(self) -> dict[str, object]:
        """What the log keeps."""
        given = {
            "notification": f"awf.task/{self.notification}",
            "message": self.message,
            "progress-current": self.current,
            "progress-total": self.total,
            "progress-unit": self.unit,
        }
        return {key: value for key, value in given.items() if value is not None}


class Success(OfExecution):
    """`success`: the result, and perhaps a poll for the next tasks."""

    result: Any = None
    poll: Annotated[NextPoll | None, NULLS_ABSENT] = None


class Fail(OfExecution):
    """`fail`: the error (or `result` in its place), and perhaps a poll for the next tasks."""

    error: Any = None
    result: Any = None
    poll: Annotated[NextPoll | None, NULLS_ABSENT] = None


class Release(Exact):
    """`release`: a task goes back to its queue."""

    id: StrictStr
    exec_id: StrictStr = Field(alias="execId")
    call_id: CallId | None = Field(None, alias="callId")


class Feedback(Release):
    """`feedback`: what others can read while the task runs."""

    feedback: Any
    append: StrictBool = False


class Create(Exact):
    """`create-and-execute`."""

    definition: Name
    params: dict[str, Any] | None = None
    id: NewId | None = None
    label: Label | None = None
    execute_at: Time | None = Field(None, alias="executeAt")
    priority: Priority | None = None
    callback: Target | None = None


class StatusOf(Exact):
    """`status`: one task, on request with its settings and its log."""

    id: StrictStr
    settings: StrictBool = Field(False, validation_alias=AliasChoices("include-settings?", "include-settings"))
    log: StrictBool = Field(False, validation_alias=AliasChoices("include-log?", "include-log"))


class OfTask(Exact):
    """`cancel`, `stop`, `retry`: a call about one task, or one workflow."""

    id: StrictStr
    call_id: CallId | None = Field(None, alias="callId")


class Result(Exact):
    """`result`: waits until the task or workflow is done, at most `timeout` ms."""

    id: StrictStr
    timeout: Wait = DEFAULT_WAIT_MS


class ListFilter(Exact):
    """What a list is narrowed to."""

    include: Definitions | None = Field(None, alias="includeDefinitions")
    exclude: Definitions | None = Field(None, alias="excludeDefinitions")
    status: Annotated[list[Status], ONE_OR_MORE] | None = None
    outcome: Annotated[list[Outcome], ONE_OR_MORE] | None = None
    ilike: StrictStr | None = None


class ListSort(Exact):
    """The order of a list: one of the two."""

    created_at: Literal["asc", "desc"] | None = Field(None, alias="createdAt")
    last_updated: Literal["asc", "desc"] | None = Field(None, alias="lastUpdated")

    @model_validator(mode="after")
    def _names_one(self) -> "ListSort":
        if (self.created_at is None) == (self.last_updated is None):
            raise ValueError("one of createdAt and lastUpdated has to be given")
        return self


class ListOf(Exact):
    """`list`."""

    filter: Annotated[ListFilter, NULLS_ABSENT] = Field(default_factory=lambda: ListFilter.model_validate({}))
    sort: Annotated[ListSort | None, NULLS_ABSENT] = None
    count: Count = 100
    page: PageNumber = 1
