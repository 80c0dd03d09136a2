"""Parameters of the methods about workflows and executions of flows, as types."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, StrictBool, StrictStr

from taskrpc.core.callback import Target
from taskrpc.core.definition import Label, Name
from taskrpc.rpc.params import NULLS_ABSENT, ONE_OR_MORE, CallId, Exact, ListFilter, ListOf, NewId, Time

WorkflowStatus = Literal["created", "in-progress", "done"]


class CreateWorkflow(Exact):
    """`awf.workflow/create-and-execute`."""

    definition: Name
    params: dict[str, Any] | None = None
    id: NewId | None = None
    label: Label | None = None
    execute_at: Time | None = Field(None, alias="executeAt")
    callback: Target | None = None


class StatusOfWorkflow(Exact):
    """`awf.workflow/status`: one workflow, on request with what it has started and decided."""

    id: StrictStr
    activities: StrictBool = Field(False, validation_alias=AliasChoices("include-activities?", "include-activities"))
    decisions: StrictBool = Field(False, validation_alias=AliasChoices("include-decisions?", "include-decisions"))
    task_runs: StrictBool = Field(False, validation_alias=AliasChoices("include-task-runs?", "include-task-runs"))
    log: StrictBool = Field(False, validation_alias=AliasChoices("include-log?", "include-log"))


class Resume(Exact):
    """`awf.workflow/resume`: which paused task run goes on, and the inputs that it asks for."""

    id: StrictStr
    task_run_id: StrictStr | None = Field(None, alias="taskRunId")
    inputs: dict[str, Any] = Field(default_factory=dict)
    call_id: CallId | None = Field(None, alias="callId")


class Replay(Exact):
    """`awf.workflow/replay`: from where on, and the id of the new execution."""

    id: StrictStr
    task_run_id: StrictStr | None = Field(None, alias="taskRunId")
    new_id: NewId | None = Field(None, alias="newId")
    call_id: CallId | None = Field(None, alias="callId")


class WorkflowFilter(ListFilter):
    """What a list of workflows is narrowed to."""

    status: Annotated[list[WorkflowStatus], ONE_OR_MORE] | None = None  # type: ignore[assignment]


class ListOfWorkflows(ListOf):
    """`awf.workflow/list`."""

    filter: Annotated[WorkflowFilter, NULLS_ABSENT] = Field(default_factory=lambda: WorkflowFilter.model_validate({}))
