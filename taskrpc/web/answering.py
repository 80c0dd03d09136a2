"""How requests besides `/rpc` are answered: a handler's response, or its refusal as JSON in the shape of all errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from taskrpc.errors import TaskRpcError
from taskrpc.rpc.defects import defect
from taskrpc.web.rpc_endpoint import refusal_reply, request_id
from taskrpc.wire.codecs import JSON

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


def answering(answer: Handler, what: str, stopped: TaskRpcError) -> Handler:
    """A handler for Starlette. `what` names the requests in the log; `stopped` is told when the server stops and waits
    no longer."""

    async def handle(request: Request) -> Response:
        headers = {"x-request-id": request_id(dict(request.scope["headers"])).decode("latin-1")}
        try:
            response = await answer(request)
            response.headers.update(headers)
            return response
        except asyncio.CancelledError:  # of the request's own task
            error = stopped
        except TaskRpcError as refusal:
            error = refusal
        except Exception:
            error = defect(f"{request.method} of {what}")
        if error.type in ("unavailable", "outcome-unknown"):
            log.warning("%s of %s: %s", request.method, what, error.message)
        reply = refusal_reply(error, JSON)
        headers |= {name.decode(): value.decode() for name, value in reply.headers}
        if error.type == "range-not-satisfiable":
            headers["content-range"] = f"bytes */{(error.data or {})['size']}"
        return Response(reply.body, reply.status, headers, JSON.content_type)

    return handle


async def hung_up(receive: Receive) -> None:
    """Waits until the client has hung up; what it sends before is forgotten."""
    while (await receive())["type"] != "http.disconnect":
        pass
