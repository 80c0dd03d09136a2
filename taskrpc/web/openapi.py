"""`/openapi/rpc.json`, `rest.json`, `files.json`, `webhooks.json`: what the service can do, for programs. No key
needed."""

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskrpc.web import openapi_files, openapi_rest, openapi_rpc, openapi_webhooks
from taskrpc.wire.codecs import JSON

_DOCUMENTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "/openapi/rpc.json": openapi_rpc.document,
    "/openapi/rest.json": openapi_rest.document,
    "/openapi/files.json": openapi_files.document,
    "/openapi/webhooks.json": openapi_webhooks.document,
}


def routes() -> list[Route]:
    """A route for each document."""
    return [Route(path, _serving(document)) for path, document in _DOCUMENTS.items()]


def _serving(document: Callable[[], dict[str, Any]]) -> Callable[[Request], Response]:
    def serve(_: Request) -> Response:
        return Response(JSON.encode(document()), media_type=JSON.content_type)

    return serve
