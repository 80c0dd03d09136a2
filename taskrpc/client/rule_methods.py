"""The RPCs of rules and events as Python methods; a part of what every client has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class RuleMethods(ABC, Generic[Result]):
    """The methods of `awf.scheduler/`, `awf.subscription/` and `awf.event/`, each answering the `result` of its RPC.

    `fields` of a rule are as on the wire, e.g. `{"schedule": "@daily", "task-request": {"definition": "my/report"}}`.
    """

    @abstractmethod
    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Result:
        """Call any method by its name on the wire, with `params` as they go over the wire."""

    def scheduler_put(self, id: str, fields: Mapping[str, Any]) -> Result:
        """Create or replace a rule of the scheduler."""
        return self.call("awf.scheduler/put", {**fields, "id": id})

    def scheduler_get(self, id: str) -> Result:
        """The rule, with its next tick and what it did last."""
        return self.call("awf.scheduler/get", {"id": id})

    def scheduler_list(self) -> Result:
        """All rules of the scheduler."""
        return self.call("awf.scheduler/list")

    def scheduler_delete(self, id: str) -> Result:
        """Delete a rule; what it has started goes on."""
        return self.call("awf.scheduler/delete", {"id": id})

    def scheduler_run(self, id: str) -> Result:
        """Start what a rule asks for now, whatever its schedule says; answers the task."""
        return self.call("awf.scheduler/run", {"id": id})

    def subscription_put(self, id: str, fields: Mapping[str, Any]) -> Result:
        """Create or replace a rule that starts something whenever a resource fits."""
        return self.call("awf.subscription/put", {**fields, "id": id})

    def subscription_get(self, id: str) -> Result:
        """The rule as it is now."""
        return self.call("awf.subscription/get", {"id": id})

    def subscription_list(self) -> Result:
        """All rules that listen for events."""
        return self.call("awf.subscription/list")

    def subscription_delete(self, id: str) -> Result:
        """Delete a rule; what it has started goes on."""
        return self.call("awf.subscription/delete", {"id": id})

    def publish(self, resource: Mapping[str, Any]) -> Result:
        """Tell a resource to the subscriptions and rules that it fits."""
        return self.call("awf.event/publish", {"resource": resource})
