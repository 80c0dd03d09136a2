"""All paths of the service: `/rpc` in front, everything else through Starlette's router."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskrpc.errors import TaskRpcError
from taskrpc.web.body import Receive, Scope, Send, request_id_of
from taskrpc.web.rpc_endpoint import RpcEndpoint, refusal_reply
from taskrpc.wire.codecs import JSON


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        refusal = TaskRpcError("method-not-allowed", f"{request.method} is not possible here; use GET")
    else:
        refusal = TaskRpcError("not-found", f"There is nothing at {request.url.path[:200]!r}")
    reply = refusal_reply(refusal, JSON)
    headers = {"x-request-id": request_id_of(request.scope).decode("latin-1")}
    if refusal.type == "method-not-allowed":
        headers["allow"] = "GET"
    return Response(reply.body, reply.status, headers, JSON.content_type)


class Application:
    """The ASGI application of one server."""

    def __init__(self, rpc: RpcEndpoint, routes: Sequence[Route]) -> None:
        self._rpc = rpc
        self._router = Starlette(routes=list(routes), exception_handlers={404: _refuse, 405: _refuse})
        self._router.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/rpc` goes straight to its endpoint, past the router and its middleware."""
        if scope["type"] == "http" and scope["path"] == "/rpc":
            await self._rpc(scope, receive, send)
        elif scope["type"] == "http":
            await self._router(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
