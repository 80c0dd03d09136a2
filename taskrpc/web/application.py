"""The paths besides `/rpc`, by Starlette's router; what it refuses is answered in the shape of all errors."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from taskrpc.errors import TaskRpcError
from taskrpc.web.rpc_endpoint import refusal_reply, request_id
from taskrpc.wire.codecs import JSON


def _allowed(error: HTTPException) -> str:
    """The methods that the paths of an address have; HEAD goes with GET."""
    methods = (error.headers or {}).get("Allow", "").split(", ")
    return ", ".join(sorted({*methods} - {"HEAD"}))


async def _refuse(request: Request, error: Exception) -> Response:
    headers = {"x-request-id": request_id(dict(request.scope["headers"])).decode("latin-1")}
    if isinstance(error, HTTPException) and error.status_code == 405:
        headers["allow"] = allowed = _allowed(error)
        refusal = TaskRpcError("method-not-allowed", f"{request.method} is not possible here; use {allowed}")
    else:
        refusal = TaskRpcError("not-found", f"There is nothing at {request.url.path[:200]!r}")
    reply = refusal_reply(refusal, JSON)
    return Response(reply.body, reply.status, headers, JSON.content_type)


def application(routes: Sequence[BaseRoute]) -> Starlette:
    """The ASGI application of these routes."""
    router = Starlette(routes=list(routes), exception_handlers={404: _refuse, 405: _refuse})
    router.router.redirect_slashes = False
    return router
