"""A workflow as the function that decides about it sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .task import Task


@dataclass(frozen=True, slots=True)
class Activity:
    """A task or a workflow that a workflow has started, or is about to start: then it has no `resource` yet."""

    label: str | None
    definition: str
    resource: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "Activity":
        """The activity that a resource is about."""
        return cls(resource.get("label"), resource["definition"], resource)

    @property
    def outcome(self) -> str | None:
        """`succeeded`, `failed`, `canceled`, or None while it is not done."""
        return None if self.resource is None else self.resource.get("outcome")

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.outcome is not None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.outcome == "succeeded"

    @property
    def result(self) -> Any:
        """What it ended with; None if that was nothing."""
        return None if self.resource is None else self.resource.get("result")

    @property
    def error(self) -> Any:
        """What it failed with: its error, else the reason that the service gives."""
        resource = self.resource or {}
        return resource.get("error", resource.get("outcomeReason"))


class Workflow:
    """One decision about a workflow: what it is, what it has started, and what the function wants to happen next.

    The function is called again whenever something has happened. It may go through its steps from the first on each
    time: `execute` with a `label` starts an activity once, and from then on answers what became of it. What it wants
    takes effect when it returns, all together.

    `id`, `definition`, `params` and `resource` are those of the workflow, `activities` what it has started so far, in
    order; `decision` is the task that this decision is.
    """

    def __init__(self, decision: Task, resource: Mapping[str, Any], activities: Sequence[Mapping[str, Any]]) -> None:
        self.decision = decision
        self.resource = resource
        self.id: str = resource["id"]
        self.definition: str = resource["definition"]
        self.params: Any = resource.get("params")
        self.activities = tuple(Activity.of(activity) for activity in activities)
        self.actions: list[dict[str, Any]] = []
        self._labelled = {activity.label: activity for activity in self.activities if activity.label is not None}

    @property
    def event(self) -> str:
        """What has happened: `workflow-init`, `task-completed` or `workflow-completed`."""
        event: str = self.decision.params["event"]
        return event.removeprefix("awf.workflow.event/")

    @property
    def completed(self) -> Activity | None:
        """The activity whose end has caused this decision; None for the first one."""
        completed_id = self.decision.params.get("task-id", self.decision.params.get("workflow-id"))
        fitting = (a for a in self.activities if a.resource is not None and a.resource["id"] == completed_id)
        return next(fitting, None)

    def activity(self, label: str) -> Activity | None:
        """What has this label, if anything has."""
        return self._labelled.get(label)

    def execute(self, definition: str, params: Mapping[str, Any] | None = None, label: str | None = None) -> Activity:
        """Start a task, unless something of this workflow has the label already; answers what has it."""
        return self._schedule("task", definition, params, label)

    def execute_workflow(
        self, definition: str, params: Mapping[str, Any] | None = None, label: str | None = None
    ) -> Activity:
        """Start a workflow, in the same way."""
        return self._schedule("workflow", definition, params, label)

    def complete(self, result: Any = None) -> None:
        """End the workflow well; what it has started and has not ended is canceled."""
        self._act("complete-workflow", result=result)

    def fail(self, error: Any = None) -> None:
        """End the workflow badly; what it has started and has not ended is canceled."""
        self._act("fail", error=error)

    def _schedule(self, kind: str, definition: str, params: Mapping[str, Any] | None, label: str | None) -> Activity:
        known = None if label is None else self._labelled.get(label)
        if known is not None:
            return known
        request = {"definition": definition, "label": label, "params": params}
        given = {name: value for name, value in request.items() if value is not None}
        self._act(f"schedule-{kind}", **{"task-request": given})
        activity = Activity(label, definition)
        if label is not None:
            self._labelled[label] = activity
        return activity

    def _act(self, name: str, **further: Any) -> None:
        given = {key: value for key, value in further.items() if value is not None}
        self.actions.append({"action": f"awf.workflow.action/{name}", **given})
