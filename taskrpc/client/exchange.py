"""The course of one call without any input or output: what to send, how long to pause, when to give up.

`exchange` is a generator that the sync and the async transport drive alike: it yields an `Attempt` and is
sent the `Reply` or the `Broken` that came of it; it yields a `Pause` and is sent None.
"""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .contact import Contact
from .request import Request
from .retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send this body; the server may hold its answer back for `server_wait` seconds."""

    body: bytes
    server_wait: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds before the next attempt."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `retry_after` in seconds, 0 if the server did not ask for a pause."""

    status: int
    body: bytes
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer came; `reason` is a phrase for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back at last, decoded; `repeated` if the call was sent more than once."""

    document: Any
    repeated: bool


Exchange = Generator[Attempt | Pause, Reply | Broken | None, Answer]


def exchange(
    contact: Contact,
    body: bytes,
    server_wait: float,
    policy: RetryPolicy,
    clock: Callable[[], float] = time.monotonic,
) -> Exchange:
    """Send `body` until it is answered or the policy's budget is used up.

    Raises `TaskRpcError("unavailable")`, which names the service's URL, when no answer of the service could be had.
    """
    attempt, failing_since = 1, None
    while True:
        outcome = yield Attempt(body, server_wait)
        assert outcome is not None
        if isinstance(outcome, Reply) and outcome.status not in policy.statuses:
            contact.made()
            return Answer(_decode(contact.url, outcome), attempt > 1)
        failing_since = clock() if failing_since is None else failing_since
        elapsed = clock() - failing_since
        retry_after = outcome.retry_after if isinstance(outcome, Reply) else 0.0
        delay = policy.delay(attempt, elapsed, retry_after, random.random())
        if delay is None:
            return Answer(_last_word(contact.url, outcome, attempt, elapsed), attempt > 1)
        contact.lost(_phrase(outcome))
        yield Pause(delay)
        attempt += 1


def _decode(url: str, reply: Reply) -> Any:
    try:
        return JSON.decode(reply.body)
    except TaskRpcError:
        start = reply.body[:80].decode("utf-8", "replace")
        message = f"{url} answered {reply.status} and no JSON: {start!r}; is this the service's address?"
        raise TaskRpcError("unavailable", message) from None


def _last_word(url: str, outcome: Reply | Broken, attempts: int, elapsed: float) -> Any:
    """The service's own error if it gave one with its last 503, else `unavailable`."""
    if isinstance(outcome, Reply):
        try:
            return JSON.decode(outcome.body)
        except TaskRpcError:
            pass
    tried = f"{attempts} attempt{'s' if attempts > 1 else ''} in {elapsed:.1f} s"
    raise TaskRpcError("unavailable", f"{url} cannot be reached: {_phrase(outcome)} ({tried})")


def _phrase(outcome: Reply | Broken) -> str:
    return f"answered {outcome.status}" if isinstance(outcome, Reply) else outcome.reason


def read_result(request: Request, answer: Answer) -> dict[str, Any]:
    """The `result` of a single call; raises the error it was answered with as `TaskRpcError`."""
    entry = _read_entry(request, answer.document, answer.repeated)
    if isinstance(entry, TaskRpcError):
        raise entry
    return entry


def read_batch(requests: list[Request], answer: Answer) -> list[dict[str, Any] | TaskRpcError]:
    """One result or error per request; raises when the batch was refused as a whole."""
    if not isinstance(answer.document, list):
        refusal = _read_entry(requests[0], answer.document, answer.repeated)
        raise refusal if isinstance(refusal, TaskRpcError) else _not_understood(answer.document)
    if len(answer.document) != len(requests):
        raise _not_understood(answer.document)
    pairs = zip(requests, answer.document, strict=True)
    return [_read_entry(request, document, answer.repeated) for request, document in pairs]


def _read_entry(request: Request, document: Any, repeated: bool) -> dict[str, Any] | TaskRpcError:
    match document:
        case {"result": dict(result)}:
            return result
    error = read_error(document) or _not_understood(document)
    return _own_creation(request, error) if repeated else error


def read_error(document: Any) -> TaskRpcError | None:
    """The error that an answer of the service tells; None for anything else."""
    match document:
        case {"error": {"type": str(type), "message": str(message), **rest}}:
            data = rest.get("data")
            return TaskRpcError(type, message, data if isinstance(data, dict) else None)
    return None


def _own_creation(request: Request, error: TaskRpcError) -> dict[str, Any] | TaskRpcError:
    """A repeated create which meets the id that was made for it has met its own first attempt."""
    if request.made_id and error.type in {"task-already-exists", "workflow-already-exists"}:
        existing = (error.data or {}).get("resource")
        if isinstance(existing, dict) and existing.get("id") == request.params["id"]:
            return {"resource": existing}
    return error


def _not_understood(document: Any) -> TaskRpcError:
    return TaskRpcError("unavailable", f"not an answer of the service: {str(document)[:80]!r}")
