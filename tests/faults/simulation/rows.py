"""The rows of the model's tables, and how clients see them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from taskrpc.core.definition import DefinitionSpec
from taskrpc.core.lifecycle import Seen
from taskrpc.core.model import DECISION_TASK, resource_type

Kind = Literal["task", "decision", "workflow"]


def at(seconds: float) -> str:
    """A time as the protocol writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass(slots=True)
class Row:
    """A task, a decision or a workflow. `due_at` is when time has something to do with it, `drop_at` when its
    definition's timeout has passed."""

    id: str
    kind: Kind
    name: str
    spec: DefinitionSpec
    params: Any
    status: str
    ready_at: float
    parent_id: str | None = None
    label: str | None = None
    due_at: float | None = None
    drop_at: float | None = None
    outcome: str | None = None
    exec_id: str | None = None
    retry_count: int = 0
    version: int = 1
    create_id: str | None = None
    call: str | None = None
    call_id: str | None = None
    call_version: int = 0
    stop_requested: bool = False
    stop_told: bool = False
    documents: dict[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        """What decides about a call that changed nothing."""
        return Seen(self.status, self.outcome, self.exec_id, self.call, self.call_id)

    def resource(self) -> dict[str, Any]:
        """As the API shows it."""
        shown = {
            "id": self.id,
            "resourceType": resource_type(self.kind),
            "definition": DECISION_TASK if self.kind == "decision" else self.name,
            "workflow-definition": self.name if self.kind == "decision" else None,
            "status": self.status,
            "outcome": self.outcome,
            "execId": self.exec_id if self.status in ("requested", "in-progress", "done") else None,
            "retryCount": self.retry_count or None,
            "label": self.label,
            "params": self.params,
            "requester": {"id": self.parent_id, "resourceType": "AidboxWorkflow"} if self.parent_id else None,
            **self.documents,
            "meta": {"versionId": str(self.version)},
        }
        return {name: value for name, value in shown.items() if value is not None}

    def answered(self) -> dict[str, Any]:
        """The resource as the last call left it, for the answer to a repeat."""
        shown = self.resource()
        if self.version != self.call_version:  # it was due meanwhile, no more
            shown |= {"status": "waiting", "meta": {"versionId": str(self.call_version)}}
        return shown
