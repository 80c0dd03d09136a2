"""The RPCs of flows as Python methods; a part of what every client has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class FlowMethods(ABC, Generic[Result]):
    """The methods of `awf.flow/`, each answering the `result` of its RPC. A flow is a mapping, or a text in YAML or
    JSON, which is kept as it is, with its comments."""

    @abstractmethod
    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Result:
        """Call any method by its name on the wire, with `params` as they go over the wire."""

    def flow_put(self, flow: Mapping[str, Any] | str) -> Result:
        """Create a flow, or a new revision of it; `invalid-params` lists every mistake with its path."""
        return self.call("awf.flow/put", _params(flow))

    def flow_validate(self, flow: Mapping[str, Any] | str) -> Result:
        """Whether a flow could be put, and every mistake with its path; nothing is kept."""
        return self.call("awf.flow/validate", _params(flow))

    def flow_get(self, namespace: str, id: str, *, revision: int | None = None) -> Result:
        """The flow as it is now, or one revision of it."""
        which = {} if revision is None else {"revision": revision}
        return self.call("awf.flow/get", {"namespace": namespace, "id": id, **which})

    def flow_list(self, *, namespace: str | None = None) -> Result:
        """All flows, or those of one namespace, without their documents."""
        return self.call("awf.flow/list", {} if namespace is None else {"namespace": namespace})

    def flow_delete(self, namespace: str, id: str) -> Result:
        """Delete a flow; its executions go on."""
        return self.call("awf.flow/delete", {"namespace": namespace, "id": id})


def _params(flow: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return {"source": flow} if isinstance(flow, str) else flow
