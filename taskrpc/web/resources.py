"""Reading over plain HTTP: `GET /AidboxTask`, `/AidboxWorkflow`, `/AidboxTaskLog` and one of each by its id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskrpc.core.model import Resource
from taskrpc.engine.reading import Filter, Page, Reading
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.web.rpc_endpoint import refusal_reply, request_id, retry_after
from taskrpc.wire.codecs import JSON, Codec, response_codec

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AidboxTask": ("task", "decision"),
    "AidboxWorkflow": ("workflow",),
}
_MOST: Final = 1000
_SORTS: Final = {"createdAt": "createdAt", "lastUpdated": "lastUpdated"}


def _whole_number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise invalid_params(name, f"a whole number from {least} to {most} is expected, not {text[:40]!r}")
    return int(text)


def _page(query: Mapping[str, str]) -> Page:
    sort = query.get("_sort", "-createdAt")
    column = _SORTS.get(sort.removeprefix("-").removeprefix(".meta.").removeprefix("_"))
    if column is None:
        raise invalid_params("_sort", f"createdAt or lastUpdated, or one with a leading -, not {sort[:40]!r}")
    number = _whole_number(query, "_page", 1, 1, 1_000_000)
    return Page(_whole_number(query, "_count", 100, 0, _MOST), number, column, sort.startswith("-"))


def _paths(query: QueryParams, further: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    known = ("_count", "_page", "_sort", *further)
    unknown = [name for name in query if name not in known and not (name.startswith(".") and len(name) > 1)]
    if unknown:
        raise invalid_params(unknown[0], f"is not known; use {', '.join(known)} or a path such as .status")
    if any("\0" in text for pair in query.multi_items() for text in pair):
        raise invalid_params("query", "NUL is not possible here")
    return tuple((name[1:], value) for name, value in query.multi_items() if name.startswith("."))


def _bundle(resources: list[Resource], total: int) -> Resource:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": total, "entry": entries}


class Resources:
    """The routes of one server."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def routes(self) -> list[Route]:
        """Lists and single resources of all types."""
        of_kinds = [
            route
            for name, kinds in KINDS.items()
            for route in (
                Route(f"/{name}", _answering(self._list(kinds))),
                Route(f"/{name}/{{id}}", _answering(self._one(kinds))),
            )
        ]
        return [
            *of_kinds,
            Route("/AidboxTaskLog", _answering(self._list_log)),
            Route("/AidboxTaskLog/{id}", _answering(self._log_entry)),
        ]

    def _list(self, kinds: tuple[str, ...]) -> Callable[[Request], Awaitable[Resource]]:
        async def answer(request: Request) -> Resource:
            query = request.query_params
            narrow = Filter(
                kinds=kinds,
                definitions=query.getlist("definition") or None,
                definitions_left_out=query.getlist("definition-not") or None,
                paths=_paths(query, ("definition", "definition-not")),
            )
            return _bundle(*await self._reading.tasks(narrow, _page(query)))

        return answer

    def _one(self, kinds: tuple[str, ...]) -> Callable[[Request], Awaitable[Resource]]:
        async def answer(request: Request) -> Resource:
            return await self._reading.task(kinds, request.path_params["id"])

        return answer

    async def _list_log(self, request: Request) -> Resource:
        return _bundle(*await self._reading.log(_paths(request.query_params, ()), _page(request.query_params)))

    async def _log_entry(self, request: Request) -> Resource:
        return await self._reading.log_entry(request.path_params["id"])


def _answering(read: Callable[[Request], Awaitable[Resource]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler for Starlette: the resource, or the error, in the format that the client accepts."""

    async def handle(request: Request) -> Response:
        headers = {"x-request-id": request_id(dict(request.scope["headers"])).decode("latin-1")}
        codec: Codec = JSON
        try:
            accept = request.headers.get("accept")
            codec = response_codec(_for_programs(accept), JSON)
            body = codec.encode(await read(request))
            return Response(body, media_type=codec.content_type, headers=headers)
        except asyncio.CancelledError:  # of the request's own task, when the server stops and waits no longer
            error = TaskRpcError("unavailable", "This server stops; try again", {"retryAfter": 1})
        except TaskRpcError as refusal:
            error = refusal
        reply = refusal_reply(error, codec)
        headers |= {name.decode(): value.decode() for name, value in retry_after(error)}
        return Response(reply.body, reply.status, headers, codec.content_type)

    return handle


def _for_programs(accept: str | None) -> bytes | None:
    """What a browser accepts (text/html and so on) gets JSON, instead of a refusal."""
    return None if accept is None or "text/html" in accept else accept.encode("latin-1", "replace")
