"""Reading a request's body within a limit of bytes and of time, which the HTTP server does not watch."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from taskrpc.core.ids import uuid7
from taskrpc.errors import TaskRpcError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BYTE_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 2.0
MOST_DISCARDED: Final = 64 * 2**20


class Hangup(Exception):
    """The client is gone before its request was complete: nobody is there to answer."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers; names are in lower case, the last of equal ones counts."""
    return dict(scope["headers"])


def request_id_of(scope: Scope) -> bytes:
    """The request's `X-Request-Id`, cut to 100 bytes, or a new one: it is echoed, and stands in the log."""
    return headers_of(scope).get(b"x-request-id", b"")[:100] or uuid7().encode()


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The whole body. Raises `body-too-large` as soon as that is known, `request-timeout`, or Hangup."""
    length = headers.get(b"content-length")
    if length is not None and int(length) > limit:
        raise _too_large(limit)
    message = await _next(receive, BYTE_SECONDS)
    if not message.get("more_body", False):
        return _within(limit, message.get("body", b""))
    chunks = bytearray(message.get("body", b""))
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    while message.get("more_body", False):
        remaining = deadline - asyncio.get_running_loop().time()
        message = await _next(receive, min(BYTE_SECONDS, max(remaining, 0)))
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            raise _too_large(limit)
    return bytes(chunks)


async def discard_rest(receive: Receive) -> None:
    """Reads on and forgets what is read: until nothing comes for QUIET_SECONDS, and at most MOST_DISCARDED bytes.

    A client that is cut off while it sends never sees why, and sends the same again.
    """
    left = MOST_DISCARDED
    with contextlib.suppress(TaskRpcError, Hangup, TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            while left > 0:
                message = await _next(receive, QUIET_SECONDS)
                left = left - len(message.get("body", b"")) if message.get("more_body", False) else 0


async def _next(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise TaskRpcError(
            "request-timeout",
            f"The body did not come: {BYTE_SECONDS:.0f} s without a byte, or {BODY_SECONDS:.0f} s in all",
        ) from None
    if message["type"] == "http.disconnect":
        raise Hangup
    return message


def _within(limit: int, body: bytes) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> TaskRpcError:
    return TaskRpcError("body-too-large", f"The body is larger than {limit} bytes", {"limit": limit})
