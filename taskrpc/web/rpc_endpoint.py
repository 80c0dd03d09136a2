"""`POST /rpc` as a plain ASGI callable: bytes to calls, calls to the table of methods, answers to bytes."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from taskrpc.engine.caller import Caller
from taskrpc.errors import HTTP_STATUS, TaskRpcError
from taskrpc.rpc.batch import Answer, Entry, carry_out, carry_out_one
from taskrpc.rpc.services import Context, Services
from taskrpc.web.body import Hangup, Receive, Scope, Send, discard_rest, headers_of, read_body, request_id_of
from taskrpc.wire import envelope
from taskrpc.wire.codecs import JSON, Codec, request_codec, response_codec

log = logging.getLogger("taskrpc.requests")

DEFAULT_MAX_BODY: Final = 8 * 2**20
MAX_YAML_BODY: Final = 2**20
_CLOSING: Final = frozenset({"body-too-large", "request-timeout"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: a status, a body (None for 204) in the format of a codec, and headers besides."""

    status: int
    body: bytes | None
    content_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal_reply(error: TaskRpcError, codec: Codec) -> Reply:
    """The answer to a request in which no call was found."""
    answer = envelope.unparsable(error)
    closing = ((b"connection", b"close"),) if error.type in _CLOSING else ()
    allow = ((b"allow", b"POST"),) if error.type == "method-not-allowed" else ()
    headers = (*closing, *allow, *retry_after(error))
    return Reply(answer.status, codec.encode(answer.body), codec.content_type, headers)


def retry_after(error: TaskRpcError) -> tuple[tuple[bytes, bytes], ...]:
    """The header that tells when to try again, for errors that say so."""
    seconds = (error.data or {}).get("retryAfter")
    return () if seconds is None else ((b"retry-after", str(seconds).encode()),)


async def send_reply(send: Send, reply: Reply, request_id: bytes, receive: Receive) -> None:
    """Sends a whole response, and lets a client whose body is too large send on until it has seen it."""
    body = reply.body or b""
    headers = [(b"x-request-id", request_id), *reply.headers]
    if reply.body is not None:
        headers += [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.status == HTTP_STATUS["body-too-large"]:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await discard_rest(receive)
        body = b""
    await send({"type": "http.response.body", "body": body})


class RpcEndpoint:
    """The endpoint of one server."""

    def __init__(self, services: Services, max_body: int = DEFAULT_MAX_BODY) -> None:
        self._services = services
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; see docs/protocol.md."""
        began = time.perf_counter()
        headers = headers_of(scope)
        request_id = request_id_of(scope)
        caller = Caller(lambda: _hang_up(receive))
        request: envelope.Request | None = None
        try:
            codec = _answer_codec(headers)
            try:
                request = envelope.parse(await self._decoded(scope, receive, headers))
                reply = await self._answered(request, caller, codec)
            except TaskRpcError as error:
                reply = refusal_reply(error, codec)
            except asyncio.CancelledError:  # of the request's own task, when the server stops and waits no longer
                await send_reply(send, _abandoned(request, codec), request_id, receive)
                return
            if caller.is_gone:
                return
            await send_reply(send, reply, request_id, receive)
            caller.delivered()
            _log_request(request, reply, request_id, time.perf_counter() - began)
        except Hangup:
            return
        finally:
            caller.close()
            await caller.take_back()

    async def _decoded(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> object:
        if scope["method"] != "POST":
            raise TaskRpcError("method-not-allowed", f"{scope['method']} is not possible here; use POST")
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            raise TaskRpcError("unsupported-media-type", "Content-Encoding is not understood; send the body as it is")
        codec = request_codec(headers.get(b"content-type"))
        response_codec(headers.get(b"accept"), codec)
        limit = min(self._max_body, MAX_YAML_BODY) if codec.name == "yaml" else self._max_body
        return codec.decode(await read_body(receive, headers, limit))

    async def _answered(self, request: envelope.Request, caller: Caller, codec: Codec) -> Reply:
        context = Context(caller)
        if request.is_batch:
            results = await carry_out(self._services, context, [_entry(call) for call in request.calls])
        else:
            entry = _entry(request.calls[0])
            results = [
                entry if isinstance(entry, TaskRpcError) else await carry_out_one(self._services, context, entry)
            ]
        answers = [_answer(call, result) for call, result in zip(request.calls, results, strict=True)]
        status, body = envelope.respond(request, answers)
        headers = () if request.is_batch or not isinstance(results[0], TaskRpcError) else retry_after(results[0])
        return Reply(status, None if status == 204 else codec.encode(body), codec.content_type, headers)


def _abandoned(request: envelope.Request | None, codec: Codec) -> Reply:
    """The answer to a request whose statements are still under way when the server stops."""
    error = TaskRpcError(
        "outcome-unknown", "This server stopped before it knew what became of the call: repeat it", {"retryAfter": 1}
    )
    if request is None:
        return refusal_reply(error, codec)
    status, body = envelope.respond(request, [envelope.failure(call, error) for call in request.calls])
    return Reply(status, None if status == 204 else codec.encode(body), codec.content_type, retry_after(error))


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _answer_codec(headers: dict[bytes, bytes]) -> Codec:
    """The format of the answer; JSON where the request asks for none that we have, to say just that."""
    try:
        return response_codec(headers.get(b"accept"), request_codec(headers.get(b"content-type")))
    except TaskRpcError:
        return JSON


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


def _log_request(request: envelope.Request | None, reply: Reply, request_id: bytes, seconds: float) -> None:
    level = logging.WARNING if reply.status >= 500 else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    calls = request.calls if request is not None else []
    first = calls[0] if calls else None
    method, task = "", None
    if isinstance(first, envelope.Call):
        method, task = first.method, first.params.get("id")
    fields = {
        "request": request_id.decode("latin-1"),
        "method": method if len(calls) < 2 else f"{method} and {len(calls) - 1} more",
        "task": task if isinstance(task, str) else None,
        "status": reply.status,
        "ms": round(seconds * 1000, 1),
    }
    log.log(level, "%s %s", fields["method"] or "request", reply.status, extra={"fields": fields})
