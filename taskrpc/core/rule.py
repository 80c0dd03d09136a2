"""Rules: what is started by time (the scheduler's) or by events (subscriptions'), with which params."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from taskrpc.core.cron import Missed, Schedule, parse_schedule, parse_zone
from taskrpc.core.definition import Label, Name, Priority, invalid
from taskrpc.core.model import resource_type
from taskrpc.core.selection import Selection
from taskrpc.core.template import check_templates, filled

SCHEDULER_RULE: Final = "AidboxSchedulerRule"
SUBSCRIPTION_RULE: Final = "AidboxSubscriptionRule"
LONGEST_DEADLINE_SECONDS: Final = 366 * 24 * 3600


class ActivityRequest(BaseModel):
    """What a rule starts: a task or a workflow of a definition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definition: Name
    params: dict[str, Any] | None = None
    label: Label | None = None
    priority: Priority | None = None


class Rule(BaseModel):
    """What all rules have: a request, in one of two forms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task_request: ActivityRequest | None = Field(None, alias="task-request")
    workflow_request: ActivityRequest | None = Field(None, alias="workflow-request")

    @model_validator(mode="after")
    def _requests_one(self) -> "Rule":
        if (self.task_request is None) == (self.workflow_request is None):
            raise ValueError("one of task-request and workflow-request has to be given")
        return self

    def as_kept(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The rule as people get it back: its settings with their defaults, and the fields that it was made of."""
        settings = self.model_dump(by_alias=True, exclude={"task_request", "workflow_request", "select_by"})
        return {**settings, **{key: value for key, value in fields.items() if value is not None}}

    @property
    def request(self) -> ActivityRequest:
        """What the rule starts."""
        request = self.task_request or self.workflow_request
        assert request is not None  # a rule that is checked has one
        return request

    @property
    def starts(self) -> Literal["task", "workflow"]:
        """The kind of what the rule starts."""
        return "task" if self.task_request is not None else "workflow"

    @property
    def resource(self) -> str:
        """The type of the resource that the rule starts."""
        return resource_type(self.starts)


class SchedulerRule(Rule):
    """A rule of the scheduler; the names are those of the wire, times are in seconds."""

    schedule: Annotated[StrictStr, Field(min_length=1, max_length=255)]
    timezone: StrictStr = "UTC"
    execute_on_setup: StrictBool = Field(False, alias="execute-on-setup")
    concurrency_policy: Literal["forbid", "allow", "wait"] = Field("forbid", alias="concurrency-policy")
    start_deadline_seconds: Annotated[StrictInt, Field(ge=1, le=LONGEST_DEADLINE_SECONDS)] = Field(
        60, alias="start-deadline-seconds"
    )
    missed_ticks: Missed = Field("all", alias="missed-ticks")

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, expression: str) -> str:
        parse_schedule(expression)
        return expression

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        parse_zone(name)
        return name

    @property
    def ticks(self) -> Schedule:
        """When the rule fires."""
        return parse_schedule(self.schedule, self.timezone)


class SubscriptionRule(Rule):
    """A rule that starts something whenever a resource fits. In its request's params `{get-in: path}` stands for a
    value of that resource."""

    select_by: Selection = Field(alias="select-by")

    @model_validator(mode="after")
    def _templates_are_paths(self) -> "SubscriptionRule":
        check_templates(self.request.params)
        return self

    def filled_params(self, resource: Mapping[str, Any]) -> dict[str, Any] | None:
        """The request's params with the values of a resource; raises `invalid-params` where those are too much."""
        return None if self.request.params is None else filled(self.request.params, resource)


R = TypeVar("R", bound=Rule)


def parse_rule(form: type[R], fields: Mapping[str, object]) -> R:
    """Checks the fields of a rule (without its id); raises `invalid-params` that lists every mistake."""
    try:
        return form.model_validate({key: value for key, value in fields.items() if value is not None})
    except ValidationError as error:
        raise invalid(error) from None
