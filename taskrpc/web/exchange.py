"""One request to `/rpc` and its answer, as the protocol handles them."""

import asyncio
from functools import lru_cache
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from taskrpc.engine.caller import Caller
from taskrpc.errors import TaskRpcError
from taskrpc.web.rpc_endpoint import Head, Reply

_JOINED_BYTES: Final = 64 * 1024


class Exchange:
    """A request that is read piece by piece. It is `whole` when all of its body is there.

    `keep_alive` and `response_complete` are what uvicorn looks at, as it does with cycles of its own; complete is an
    answer only when the client has taken it. `task` is what carries it out, `sent_at` the loop's time at which the
    answer was written.
    """

    __slots__ = (
        "body",
        "caller",
        "head",
        "keep_alive",
        "method",
        "refusal",
        "response_complete",
        "sent_at",
        "size",
        "task",
        "whole",
    )

    def __init__(self, method: str, head: Head, keep_alive: bool) -> None:
        self.method = method
        self.head = head
        self.keep_alive = keep_alive
        self.body: list[bytes] = []
        self.size = 0
        self.whole = False
        self.task: asyncio.Task[None] | None = None
        self.response_complete = False
        self.sent_at: float | None = None
        self.refusal: TaskRpcError | None = None
        self.caller = Caller()

    def add(self, piece: bytes) -> None:
        """A further piece of the body."""
        self.size += len(piece)
        if self.refusal is None:
            self.body.append(piece)

    def refuse(self, refusal: TaskRpcError) -> None:
        """It will be answered by this; nothing more of it is kept, and its connection is not used again."""
        self.refusal = refusal
        self.keep_alive = False
        self.body.clear()

    def take_body(self) -> bytes:
        """The body, which is not kept here any longer."""
        pieces, self.body = self.body, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def response(self, reply: Reply, defaults: list[tuple[bytes, bytes]]) -> list[bytes]:
        """The bytes of the response, to be written at once: in one piece, or head and body where that is large."""
        body = reply.body or b""
        lines = _lines((*defaults, *reply.headers))
        head = b"%b%bx-request-id: %b\r\n" % (STATUS_LINE[reply.status], lines, self.head.request_id)
        if reply.body is not None:
            head += b"content-type: %b\r\ncontent-length: %d\r\n" % (reply.content_type.encode(), len(body))
        head += b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        if self.method == "HEAD":
            return [head]
        return [head + body] if len(body) < _JOINED_BYTES else [head, body]


@lru_cache(maxsize=64)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The same for all answers of a second."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
