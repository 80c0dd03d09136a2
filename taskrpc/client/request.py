"""Requests that may be sent twice: every changing call carries an id by which the server knows the repeat."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskrpc.core.ids import uuid7

_CREATES: Final = frozenset({"awf.task/create-and-execute", "awf.workflow/create-and-execute"})
_CHANGES: Final = frozenset(
    {
        *(f"awf.workflow/{name}" for name in ("cancel", "kill", "resume", "restart", "replay")),
        *(
            f"awf.task/{name}"
            for name in ("start", "notify", "success", "fail", "release", "feedback", "cancel", "stop", "retry")
        ),
        "awf.scheduler/run",
        "awf.event/publish",
    }
)
# What the server waits when the call does not say how long, in milliseconds.
_DEFAULT_WAITS: Final[Mapping[str, int]] = {
    "awf.task/long-poll": 60_000,
    "awf.task/result": 60_000,
    "awf.workflow/result": 60_000,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One call; `made_id`: the id of the resource to create was made here, so nobody else has it."""

    method: str
    params: Mapping[str, Any]
    made_id: bool = False

    @classmethod
    def prepare(cls, method: str, params: Mapping[str, Any] | None = None) -> "Request":
        """The call with its full method name and, if it changes something, an id to be known by."""
        full_name = method if method.startswith("awf.") else f"awf.{method}"
        given = dict(params or {})
        if full_name in _CREATES and given.get("id") is None:
            return cls(full_name, given | {"id": uuid7()}, made_id=True)
        if full_name in _CHANGES and given.get("callId") is None:
            given["callId"] = str(uuid.uuid4())
        return cls(full_name, given)

    def to_wire(self) -> dict[str, Any]:
        """The envelope: `{method, params}`."""
        return {"method": self.method, "params": self.params}

    @property
    def server_wait(self) -> float:
        """Seconds which the server may hold the answer back, beyond the time it needs to work it out."""
        poll = self.params.get("poll")
        waiting = poll if isinstance(poll, Mapping) else self.params
        timeout = waiting.get("timeout", _DEFAULT_WAITS.get(self.method, 0))
        return timeout / 1000 if isinstance(timeout, int | float) and timeout > 0 else 0.0
