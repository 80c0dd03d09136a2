"""The one error of taskrpc and the one table from its types to HTTP statuses.

Every refusal, wherever it is decided, is a `TaskRpcError`: a stable kebab-case `type` for programs, a sentence
for a person, and optional `data`. docs/protocol.md lists the types for people who write clients.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

HTTP_STATUS: Final[Mapping[str, int]] = {
    "unparsable-body": 400,
    "invalid-request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "method-not-found": 404,
    "not-found": 404,
    "task-not-found": 404,
    "workflow-not-found": 404,
    "definition-not-found": 404,
    "rule-not-found": 404,
    "key-not-found": 404,
    "secret-not-found": 404,
    "namespace-file-not-found": 404,
    "template-not-found": 404,
    "file-not-found": 404,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "request-timeout": 408,
    "task-already-exists": 409,
    "workflow-already-exists": 409,
    "task-not-finished": 409,
    "body-too-large": 413,
    "unsupported-media-type": 415,
    "range-not-satisfiable": 416,
    "invalid-params": 422,
    "stale-exec-id": 422,
    "wrong-status": 422,
    "task-has-been-done": 422,
    "workflow-has-been-done": 422,
    "cannot-start": 422,
    "cannot-resume": 422,
    "cannot-restart": 422,
    "cannot-replay": 422,
    "queue-limit-reached": 429,
    "internal-error": 500,
    "not-configured": 501,
    "unavailable": 503,
    "outcome-unknown": 504,
}


class TaskRpcError(Exception):
    """A refusal with a stable `type`, a sentence for a person and `data` for programs.

    Raised by every room of the server and by the clients, which rebuild it from the answer.
    """

    def __init__(self, type: str, message: str, data: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message
        self.data = data

    @property
    def http_status(self) -> int:
        """The HTTP status a single call is answered with; 500 for a type that the table does not know."""
        return HTTP_STATUS.get(self.type, 500)

    def to_wire(self) -> dict[str, object]:
        """`{type, message, data?}` as it goes over the wire."""
        wire: dict[str, object] = {"type": self.type, "message": self.message}
        if self.data is not None:
            wire["data"] = dict(self.data)
        return wire


class Mistake(NamedTuple):
    """One wrong value: `path` is dotted, from the params' top."""

    path: str
    message: str


MOST_MISTAKES: Final = 20


def invalid_params(path: str, message: str) -> TaskRpcError:
    """`invalid-params` for one wrong value; `path` is dotted, from the params' top."""
    return invalid_params_of([Mistake(path, message)])


def invalid_params_of(mistakes: Sequence[Mistake]) -> TaskRpcError:
    """`invalid-params` that lists mistakes, MOST_MISTAKES at most; there has to be one."""
    first = mistakes[0]
    errors = [mistake._asdict() for mistake in mistakes[:MOST_MISTAKES]]
    return TaskRpcError("invalid-params", f"{first.path}: {first.message}", {"errors": errors})


def mistakes_of(refusal: TaskRpcError, path: str) -> list[Mistake]:
    """The mistakes that an `invalid-params` lists; of another error its message, for the value at `path`."""
    listed = (refusal.data or {}).get("errors")
    if refusal.type != "invalid-params" or not isinstance(listed, list):
        return [Mistake(path, refusal.message)]
    return [Mistake(**each) for each in listed]
