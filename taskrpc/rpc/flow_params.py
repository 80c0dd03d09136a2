"""Parameters of the methods about flows, as types."""

from typing import Any

from pydantic import BaseModel, ConfigDict, StrictStr, model_validator

from taskrpc.core.definition import Name
from taskrpc.rpc.params import Exact, Revision


class PutFlow(BaseModel):
    """`awf.flow/put` and `validate`: the fields of a flow, or `source`, a text in YAML or JSON that has them."""

    model_config = ConfigDict(extra="allow")

    source: StrictStr | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "PutFlow":
        if self.source is not None and self.model_extra:
            raise ValueError(f"a flow is given by its fields or by source, not by both: {', '.join(self.model_extra)}")
        return self

    @property
    def document(self) -> dict[str, Any]:
        """The fields of the flow; none where it came as text."""
        return dict(self.model_extra or {})


class OfFlow(Exact):
    """`delete` of a flow."""

    namespace: Name
    id: Name


class GetFlow(OfFlow):
    """`awf.flow/get`: as it is now, or one revision."""

    revision: Revision | None = None


class ListFlows(Exact):
    """`awf.flow/list`: all, or those of one namespace."""

    namespace: Name | None = None
