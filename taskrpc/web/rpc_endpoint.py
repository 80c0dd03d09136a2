"""`POST /rpc`: bytes to calls, calls to the table of methods, answers to bytes. Sockets are the protocol's matter."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from taskrpc.core.access import Access, credentials
from taskrpc.core.ids import serial_id
from taskrpc.engine.caller import Caller
from taskrpc.engine.keys import Keys
from taskrpc.errors import TaskRpcError
from taskrpc.rpc.batch import Answer, Entry, carry_out, carry_out_one
from taskrpc.rpc.services import Context, Services
from taskrpc.wire import envelope
from taskrpc.wire.codecs import JSON, Codec, request_codec, response_codec

log = logging.getLogger("taskrpc.requests")

DEFAULT_MAX_BODY: Final = 8 * 2**20
MAX_YAML_BODY: Final = 2**20
# What is answered to calls for whose end a server that stops does not wait.
STOPPED: Final = TaskRpcError(
    "outcome-unknown", "This server stopped before it knew what became of the call: repeat it", {"retryAfter": 1}
)

Headers = dict[bytes, bytes]


class Reply(NamedTuple):
    """What goes back: a status, a body (None for 204) in the format of a codec, and headers besides."""

    status: int
    body: bytes | None
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Formats:
    """How a request is read, how it is answered, and how large it may be."""

    request: Codec
    answer: Codec
    limit: int


def refusal_reply(error: TaskRpcError, codec: Codec) -> Reply:
    """The answer to a request in which no call was found."""
    answer = envelope.unparsable(error)
    allow = ((b"allow", b"POST"),) if error.type == "method-not-allowed" else ()
    headers = (*allow, *retry_after(error), *challenge(error))
    return Reply(answer.status, codec.encode(answer.body), codec.content_type, headers)


def retry_after(error: TaskRpcError) -> tuple[tuple[bytes, bytes], ...]:
    """The header that tells when to try again, for errors that say so."""
    seconds = (error.data or {}).get("retryAfter")
    return () if seconds is None else ((b"retry-after", str(seconds).encode()),)


def challenge(error: TaskRpcError) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that tell how to present a key, for the error that says that one is missing."""
    if error.type != "unauthorized":
        return ()
    return ((b"www-authenticate", b'Bearer realm="taskrpc"'), (b"www-authenticate", b'Basic realm="taskrpc"'))


def request_id(headers: Headers) -> bytes:
    """The request's `X-Request-Id`, cut to 100 bytes, or a new one: it is echoed, and stands in the log."""
    return headers.get(b"x-request-id", b"")[:100] or serial_id().encode()


def answer_codec(headers: Headers) -> Codec:
    """The format of an answer; JSON where the request asks for none that we have, to say just that."""
    try:
        return response_codec(headers.get(b"accept"), request_codec(headers.get(b"content-type")))
    except TaskRpcError:
        return JSON


class Head:
    """What is kept of a request's headers while it is carried out. `refusal`: what is wrong with them."""

    __slots__ = ("_request_id", "credentials", "formats", "length", "refusal")

    def __init__(self, headers: Headers, formats: Formats, refusal: TaskRpcError | None) -> None:
        self.credentials = credentials(headers)
        self.formats = formats
        self.refusal = refusal
        self.length = int(headers.get(b"content-length", b"0"))
        self._request_id = headers.get(b"x-request-id", b"")[:100]

    @property
    def request_id(self) -> bytes:
        """What the client calls its request, or what we do."""
        if not self._request_id:
            self._request_id = serial_id().encode()
        return self._request_id


class RpcEndpoint:
    """The endpoint of one server."""

    def __init__(self, services: Services, keys: Keys, max_body: int = DEFAULT_MAX_BODY) -> None:
        self._services = services
        self._keys = keys
        self._max_body = max_body
        self._formats = lru_cache(maxsize=256)(self._formats_of)

    def head(self, headers: Headers) -> Head:
        """What the headers say about how a request is read and answered."""
        get = headers.get
        coded = (get(b"content-encoding") or b"identity", get(b"transfer-encoding") or b"chunked")
        try:
            return Head(headers, self._formats(get(b"content-type"), get(b"accept"), coded), None)
        except TaskRpcError as refusal:
            return Head(headers, Formats(JSON, answer_codec(headers), self._max_body), refusal)

    def _formats_of(self, content_type: bytes | None, accept: bytes | None, coded: tuple[bytes, bytes]) -> Formats:
        if (coded[0].lower(), coded[1].lower()) != (b"identity", b"chunked"):
            raise TaskRpcError("unsupported-media-type", "Encodings of the body are not understood; send it as it is")
        codec = request_codec(content_type)
        limit = min(self._max_body, MAX_YAML_BODY) if codec.name == "yaml" else self._max_body
        return Formats(codec, response_codec(accept, codec), limit)

    async def answer(self, method: str, head: Head, body: bytes, caller: Caller) -> Reply:
        """Answers one whole request; see docs/protocol.md.

        When its task is cancelled, because the server stops and waits no longer, the answer says so.
        """
        began = time.perf_counter()
        request: envelope.Request | None = None
        try:
            access, generation = self._admitted(method, head), self._keys.generation
            request = envelope.parse(head.formats.request.decode(body))
            del body  # thousands of requests wait here
            context, entries = Context(caller, access=access), [_entry(call) for call in request.calls]
            if request.is_batch or isinstance(entries[0], TaskRpcError):
                results = await carry_out(self._services, context, entries)
            else:
                results = [await carry_out_one(self._services, context, entries[0])]
            reply = _reply_to(request, results, head.formats.answer)
            if access is not None and self._keys.generation != generation:
                await self._check_again(head, caller)
        except TaskRpcError as error:
            reply = refusal_reply(error, head.formats.answer)
        except asyncio.CancelledError:
            reply = _abandoned(request, head.formats.answer)
        _log_request(request, reply, head, time.perf_counter() - began)
        return reply

    def _admitted(self, method: str, head: Head) -> Access | None:
        """Who calls; None where no keys are asked for. Raises the refusal of a wrong HTTP method, headers or key."""
        if method != "POST":
            raise TaskRpcError("method-not-allowed", f"{method} is not possible here; use POST")
        if head.refusal is not None:
            raise head.refusal
        return self._keys.access(head.credentials)

    async def _check_again(self, head: Head, caller: Caller) -> None:
        """Who waited may have lost its key meanwhile: then it gets nothing of what was handed out."""
        try:
            self._keys.access(head.credentials)
        except TaskRpcError:
            await caller.take_back()
            raise

    def refuse(self, head: Head, error: TaskRpcError) -> Reply:
        """The answer to a request that is refused before it is whole."""
        reply = refusal_reply(error, head.formats.answer)
        _log_request(None, reply, head, 0)
        return reply


def _reply_to(request: envelope.Request, results: Sequence[Answer], codec: Codec) -> Reply:
    if request.is_batch:
        answers = [_answer(call, result) for call, result in zip(request.calls, results, strict=True)]
        return _reply(*envelope.respond(request, answers), codec)
    result = results[0]
    headers = retry_after(result) if isinstance(result, TaskRpcError) else ()
    return _reply(*envelope.respond(request, [_answer(request.calls[0], result)]), codec, headers)


def _reply(status: int, body: object, codec: Codec, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    return Reply(status, None if status == 204 else codec.encode(body), codec.content_type, headers)


def _abandoned(request: envelope.Request | None, codec: Codec) -> Reply:
    """The answer to a request whose statements are still under way when the server stops."""
    if request is None:
        return refusal_reply(STOPPED, codec)
    answers = [envelope.failure(call, STOPPED) for call in request.calls]
    return _reply(*envelope.respond(request, answers), codec, retry_after(STOPPED))


def _entry(call: envelope.Call | envelope.BadCall) -> Entry | TaskRpcError:
    if isinstance(call, envelope.BadCall):
        return call.error
    return Entry(call.method, call.params, call.is_notification)


def _answer(call: envelope.Call | envelope.BadCall, result: Answer) -> envelope.Answer | None:
    if isinstance(call, envelope.BadCall):
        return envelope.failure(call, call.error)
    if isinstance(result, TaskRpcError):
        return envelope.failure(call, result)
    return envelope.success(call, result)


def _log_request(request: envelope.Request | None, reply: Reply, head: Head, seconds: float) -> None:
    level = logging.WARNING if reply.status >= 500 else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    calls = request.calls if request is not None else []
    first = calls[0] if calls else None
    method, task = "", None
    if isinstance(first, envelope.Call):
        method, task = first.method, first.params.get("id")
    fields = {
        "request": head.request_id.decode("latin-1"),
        "method": method if len(calls) < 2 else f"{method} and {len(calls) - 1} more",
        "task": task if isinstance(task, str) else None,
        "status": reply.status,
        "ms": round(seconds * 1000, 1),
    }
    log.log(level, "%s %s", fields["method"] or "request", reply.status, extra={"fields": fields})
