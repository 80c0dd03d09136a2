"""`/health/live` and `/health/ready`, for whoever decides whether this server gets requests or is started anew."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[dict[str, object]]]


def routes(ready: Check) -> list[Route]:
    """Live: the process answers. Ready: `ready` raises nothing and answers details; else 503 with the reason."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def is_ready(_: Request) -> Response:
        details = await ready()
        return JSONResponse(details, 200 if details["status"] == "ready" else 503)

    return [Route("/health/live", live), Route("/health/ready", is_ready)]
