"""Asynchronous workflows over REST: `/api/v1/runtime/workflow/{workflowId}/task…`, a resource for each call.

A workflow there is a definition; docs/rest.md describes the calls. Bodies are JSON, errors `{message, details}`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from taskrpc.core.submission import Submission
from taskrpc.engine.keys import Keys
from taskrpc.engine.submissions import AsynchronousWorkflows
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.rpc.access import SUBMITTING
from taskrpc.rpc.defects import defect
from taskrpc.web.bodies import body_of, is_encoded
from taskrpc.web.rest_path import PREFIX, Place, place_of, statuses_of
from taskrpc.web.rpc_endpoint import challenge, request_id, retry_after
from taskrpc.wire.codecs import JSON, request_codec

log = logging.getLogger("taskrpc.requests")

LONGEST_CORRELATION_ID: Final = 255
_LONGEST_ECHO: Final = 4 * LONGEST_CORRELATION_ID  # in bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a call has come to: a status, and a value for the body unless it is 204."""

    status: int
    value: object = None


Call = Callable[[Place, Request], Awaitable[Found]]


class Rest:
    """The endpoint of one server."""

    def __init__(self, workflows: AsynchronousWorkflows, keys: Keys, max_body: int) -> None:
        self._workflows = workflows
        self._keys = keys
        self._max_body = max_body
        self._calls: Final[Mapping[str, Mapping[str, Call]]] = {
            "tasks": {"POST": self._submit, "DELETE": self._delete_all},
            "statuses": {"GET": self._statuses, "DELETE": self._delete},
            "task": {"DELETE": self._delete},
            "status": {"GET": self._status},
            "response": {"GET": self._response},
            "request": {"GET": self._request},
        }

    def routes(self) -> list[Mount]:
        """All paths below the prefix."""
        return [Mount(PREFIX, app=self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        began = time.perf_counter()
        request = Request(scope, receive)
        headers = {"x-request-id": request_id(dict(scope["headers"])).decode("latin-1")}
        correlation_id = request.headers.get("x-correlation-id")
        if correlation_id:
            headers["x-correlation-id"] = correlation_id[:_LONGEST_ECHO]
        try:
            found = await self._found(request)
            body = None if found.status == 204 else JSON.encode(found.value)
            response = Response(body, found.status, headers, None if body is None else JSON.content_type)
        except TaskRpcError as error:
            response = _refusal(error, headers)
        _log_request(request, response, headers, time.perf_counter() - began)
        await response(scope, receive, send)

    async def _found(self, request: Request) -> Found:
        try:
            access = self._keys.access(dict(request.scope["headers"]))
            place = place_of(request.scope["raw_path"])
            calls = self._calls[place.resource]
            call = calls.get("GET" if request.method == "HEAD" else request.method)
            if call is None:
                raise _not_allowed(request.method, sorted(calls))
            if access is not None:
                access.check_role(SUBMITTING, "this call")
                access.check([place.workflow])
            return await call(place, request)
        except asyncio.CancelledError:  # of the request's own task, when the server stops and waits no longer
            raise TaskRpcError(
                "outcome-unknown", "This server stopped before it knew what became of the call: repeat it"
            ) from None
        except TaskRpcError:
            raise
        except Exception:
            raise defect(f"{request.method} of REST") from None

    async def _submit(self, place: Place, request: Request) -> Found:
        verbose = _flag(_only(request.query_params, "verboseErrorOutput"), "verboseErrorOutput")
        submission = Submission(_correlation_id(request), verbose)
        body = await self._body(request)
        return Found(202, {"taskId": await self._workflows.submit(place.workflow, body, submission)})

    async def _body(self, request: Request) -> object:
        if not _is_json(request) or is_encoded(request):
            message = "The input is sent as it is, with content-type: application/json; charset=utf-8"
            raise TaskRpcError("unsupported-media-type", message)
        return JSON.decode(await body_of(request, self._max_body))

    async def _statuses(self, place: Place, request: Request) -> Found:
        query = _only(request.query_params, "taskIds", "taskStatuses")
        ids = query["taskIds"].split(",") if "taskIds" in query else None
        found = await self._workflows.statuses(place.workflow, ids, statuses_of(query.get("taskStatuses")))
        return Found(200, {"taskStatusMap": found})

    async def _status(self, place: Place, request: Request) -> Found:
        _only(request.query_params)
        return Found(200, {"status": await self._workflows.status(place.workflow, place.task)})

    async def _response(self, place: Place, request: Request) -> Found:
        _only(request.query_params)
        return Found(200, await self._workflows.response(place.workflow, place.task))

    async def _request(self, place: Place, request: Request) -> Found:
        _only(request.query_params)
        return Found(200, await self._workflows.request(place.workflow, place.task))

    async def _delete(self, place: Place, request: Request) -> Found:
        _only(request.query_params)
        await self._workflows.delete(place.workflow, place.task)
        return Found(204)

    async def _delete_all(self, place: Place, request: Request) -> Found:
        query = _only(request.query_params, "taskStatuses")
        await self._workflows.delete_all(place.workflow, statuses_of(query.get("taskStatuses")))
        return Found(204)


def _is_json(request: Request) -> bool:
    try:
        return request_codec(request.headers.get("content-type", "").encode("latin-1") or None) is JSON
    except TaskRpcError:
        return False


def _only(query: QueryParams, *known: str) -> dict[str, str]:
    """The query's params; raises `invalid-params` for one that is not known, or comes twice."""
    for name, _ in query.multi_items():
        if name not in known:
            raise invalid_params(name[:80], f"is not known; use {' or '.join(known) or 'none'}")
        if len(query.getlist(name)) > 1:
            raise invalid_params(name, "is given more than once; separate values by commas")
    return dict(query)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise invalid_params(name, f"true or false is expected, not {text[:40]!r}")
    return text == "true"


def _correlation_id(request: Request) -> str | None:
    text = _as_sent(request.headers.get("x-correlation-id", ""))
    if len(text) > LONGEST_CORRELATION_ID:
        raise invalid_params("X-Correlation-Id", f"at most {LONGEST_CORRELATION_ID} characters are kept")
    return text or None


def _as_sent(header: str) -> str:
    """The text of a header, which is UTF-8 where it can be, as filters of lists are; else Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


def _not_allowed(method: str, possible: list[str]) -> TaskRpcError:
    return TaskRpcError(
        "method-not-allowed", f"{method} is not possible here; use {' or '.join(possible)}", {"allow": possible}
    )


def _refusal(error: TaskRpcError, headers: dict[str, str]) -> Response:
    further = {name.decode(): value.decode() for name, value in (*retry_after(error), *challenge(error)[:1])}
    if error.type == "method-not-allowed":
        further["allow"] = ", ".join((error.data or {})["allow"])  # type: ignore[arg-type]
    body = {"message": error.message, "details": {"type": error.type, **(error.data or {})}}
    return Response(JSON.encode(body), error.http_status, {**headers, **further}, JSON.content_type)


def _log_request(request: Request, response: Response, headers: Mapping[str, str], seconds: float) -> None:
    """A call that can be asked for by its correlation id is logged always, the others for those who look closely."""
    correlation_id = _as_sent(headers["x-correlation-id"]) if "x-correlation-id" in headers else None
    level = logging.DEBUG if correlation_id is None else logging.INFO
    level = logging.WARNING if response.status_code >= 500 else level
    if not log.isEnabledFor(level):
        return
    path = request.scope["raw_path"].decode("latin-1")
    fields = {
        "request": headers["x-request-id"],
        "correlation": correlation_id,
        "method": f"{request.method} {path[:300]}",
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
    }
    log.log(level, "%s %s", fields["method"], response.status_code, extra={"fields": fields})
