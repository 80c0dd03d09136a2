"""Parameters of the methods of definitions, rules and events, as types."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from taskrpc.core.definition import Name
from taskrpc.rpc.params import CallId, Exact


class PutDefinition(BaseModel):
    """`awf.definition/put`: the fields of a definition with its id."""

    model_config = ConfigDict(extra="allow")

    id: Name


class OfDefinition(Exact):
    """`awf.definition/get` and `delete`."""

    id: Name


class PutRule(BaseModel):
    """`awf.scheduler/put` and `awf.subscription/put`: the fields of a rule with its id."""

    model_config = ConfigDict(extra="allow")

    id: Name

    @property
    def fields(self) -> dict[str, Any]:
        """The rule without its id."""
        return dict(self.model_extra or {})


class OfRule(Exact):
    """`get` and `delete` of a rule."""

    id: Name


class RunRule(OfRule):
    """`awf.scheduler/run`."""

    call_id: CallId | None = Field(None, alias="callId")


class Publish(Exact):
    """`awf.event/publish`."""

    resource: dict[str, Any]
    call_id: CallId | None = Field(None, alias="callId")


class Nothing(Exact):
    """No params at all."""
