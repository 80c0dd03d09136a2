"""Reading over plain HTTP: `GET /AidboxTask`, `/AidboxWorkflow`, `/AidboxTaskLog` and one of each by its id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskrpc.core.access import Access
from taskrpc.core.model import Resource
from taskrpc.engine.keys import Keys
from taskrpc.engine.reading import Filter, Page, Reading
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.rpc.access import READING
from taskrpc.rpc.defects import defect
from taskrpc.web.rpc_endpoint import refusal_reply, request_id
from taskrpc.wire.codecs import JSON, Codec, response_codec

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AidboxTask": ("task", "decision"),
    "AidboxWorkflow": ("workflow",),
}
_ALL_KINDS: Final = ("task", "decision", "workflow")
_MOST: Final = 1000
Read = Callable[[Request, Access | None], Awaitable[Resource]]
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

    def __init__(self, reading: Reading, keys: Keys) -> None:
        self._reading = reading
        self._keys = keys

    def routes(self) -> list[Route]:
        """Lists and single resources of all types."""
        of_kinds = [
            route
            for name, kinds in KINDS.items()
            for route in (
                Route(f"/{name}", self._answering(self._list(kinds))),
                Route(f"/{name}/{{id}}", self._answering(self._one(kinds))),
            )
        ]
        return [
            *of_kinds,
            Route("/AidboxTaskLog", self._answering(self._list_log)),
            Route("/AidboxTaskLog/{id}", self._answering(self._log_entry)),
        ]

    def _list(self, kinds: tuple[str, ...]) -> Read:
        async def answer(request: Request, access: Access | None) -> Resource:
            query = request.query_params
            narrow = Filter(
                kinds=kinds,
                definitions=_definitions(query, access),
                definitions_left_out=query.getlist("definition-not") or None,
                paths=_paths(query, ("definition", "definition-not")),
            )
            return _bundle(*await self._reading.tasks(narrow, _page(query)))

        return answer

    def _one(self, kinds: tuple[str, ...]) -> Read:
        async def answer(request: Request, access: Access | None) -> Resource:
            return await self._task(kinds, request.path_params["id"], access)

        return answer

    async def _task(self, kinds: tuple[str, ...], task_id: str, access: Access | None) -> Resource:
        resource = await self._reading.task(kinds, task_id)
        if access is not None:
            access.check([str(resource.get("workflow-definition", resource["definition"]))])
        return resource

    async def _list_log(self, request: Request, access: Access | None) -> Resource:
        paths = _paths(request.query_params, ())
        if access is not None and access.definitions is not None:
            subject = dict(paths).get("subject.id")
            if subject is None:
                raise TaskRpcError("forbidden", f"Key {access.name} is bound to definitions: ask for one .subject.id")
            await self._task(_ALL_KINDS, subject, access)
        return _bundle(*await self._reading.log(paths, _page(request.query_params)))

    async def _log_entry(self, request: Request, access: Access | None) -> Resource:
        entry = request.path_params["id"]
        if access is not None and access.definitions is not None:
            await self._task(_ALL_KINDS, entry.rpartition(".")[0], access)
        return await self._reading.log_entry(entry)

    def _answering(self, read: Read) -> Callable[[Request], Awaitable[Response]]:
        """A handler for Starlette: the resource, or the error, in the format that the client accepts."""

        async def handle(request: Request) -> Response:
            headers = {"x-request-id": request_id(dict(request.scope["headers"])).decode("latin-1")}
            codec: Codec = JSON
            try:
                access = self._keys.access(dict(request.scope["headers"]))
                codec = response_codec(_for_programs(request.headers.get("accept")), JSON)
                if access is not None:
                    access.check_role(READING, f"GET {request.url.path[:100]}")
                body = codec.encode(await read(request, access))
                return Response(body, media_type=codec.content_type, headers=headers)
            except asyncio.CancelledError:  # of the request's own task, when the server stops and waits no longer
                error = TaskRpcError("unavailable", "This server stops; try again", {"retryAfter": 1})
            except TaskRpcError as refusal:
                error = refusal
            except Exception:
                error = defect(f"GET {request.url.path}")
            reply = refusal_reply(error, codec)
            headers |= {name.decode(): value.decode() for name, value in reply.headers}
            return Response(reply.body, reply.status, headers, codec.content_type)

        return handle


def _definitions(query: QueryParams, access: Access | None) -> list[str] | None:
    """Which definitions a list is narrowed to: those that are asked for, else those that the key is for."""
    asked = query.getlist("definition")
    if access is None or access.definitions is None:
        return asked or None
    access.check(asked)
    return asked or sorted(access.definitions)


def _for_programs(accept: str | None) -> bytes | None:
    """What a browser accepts (text/html and so on) gets JSON, instead of a refusal."""
    return None if accept is None or "text/html" in accept else accept.encode("latin-1", "replace")
