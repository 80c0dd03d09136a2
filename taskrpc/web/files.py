"""`PUT` and `GET /files/{path}`: contents stream between the client and the storage, in bounded memory."""

import asyncio
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from taskrpc.core.file_uri import uri_of
from taskrpc.core.grant import presented_token
from taskrpc.engine.files import Files, checked, too_large
from taskrpc.engine.keys import Keys
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.rpc.access import FILES, check_unbound
from taskrpc.storage.storage import OpenFile
from taskrpc.web.answering import answering, hung_up
from taskrpc.web.bodies import pieces_of, refuse_encoded
from taskrpc.web.protocol import FILES_PATH
from taskrpc.wire.codecs import JSON

_STOPPED: Final = TaskRpcError("unavailable", "This server stops; try again", {"retryAfter": 1})
_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


class FileRoutes:
    """The routes of one server."""

    def __init__(self, files: Files, keys: Keys) -> None:
        self._files = files
        self._keys = keys

    def routes(self) -> list[Route]:
        """Reading and writing."""
        return [
            Route(
                f"{FILES_PATH}{{path:path}}",
                answering(self._answer, "a file", _STOPPED),
                methods=["GET", "HEAD", "PUT"],
            )
        ]

    async def _answer(self, request: Request) -> Response:
        return await (self._put(request) if request.method == "PUT" else self._get(request))

    async def _path(self, request: Request, *, write: bool) -> str:
        """The path that this request is allowed to use."""
        headers = dict(request.scope["headers"])
        token = presented_token(headers)
        if token is None:
            self._check_key(headers)
        elif b"x-api-key" in headers:
            self._keys.access(headers)  # the token tells which files; a key that comes along has to be good as well
        path: str = request.path_params["path"]
        if "\ufffd" in path:
            raise invalid_params("path", "it has to be UTF-8, percent-encoded")
        checked(path)
        if token is not None:
            await self._files.tokens.check(token, path, write=write)
        return path

    def _check_key(self, headers: Mapping[bytes, bytes]) -> None:
        access = self._keys.access(headers)
        if access is not None:
            access.check_role(FILES, "a request for files without a token")
            check_unbound(access)

    async def _put(self, request: Request) -> Response:
        path = await self._path(request, write=True)
        refuse_encoded(request)
        length = request.headers.get("content-length", "0")
        if int(length) > self._files.largest:
            raise too_large(self._files.largest)
        size = await self._files.write(path, pieces_of(request))
        resource = {"resourceType": "AidboxFile", "uri": uri_of(path), "path": path, "size": size}
        return Response(JSON.encode(resource), 201, media_type=JSON.content_type)

    async def _get(self, request: Request) -> Response:
        file = await self._files.open(await self._path(request, write=False))
        try:
            return _FileResponse(file, request.headers)
        except BaseException:
            await file.close()
            raise


class _FileResponse(Response):
    """The content of a file, or the range of it that was asked for. It closes the file.

    Starlette's streaming response would cancel a read that a thread is at, again and again, until it is done.
    """

    def __init__(self, file: OpenFile, asked: Headers) -> None:
        start, length = 0, file.size
        headers = {
            "accept-ranges": "bytes",
            "last-modified": format_datetime(file.modified, usegmt=True),
            # Whatever a file says of itself, no browser is to take it for a page of this server.
            "x-content-type-options": "nosniff",
            "content-disposition": "attachment",
        }
        status = 200
        wanted = None if "if-range" in asked else _RANGE.fullmatch(asked.get("range", "").strip())
        if wanted is not None:
            start, length = _range(wanted, file.size)
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{file.size}"
            status = 206
        headers["content-length"] = str(length)
        super().__init__(None, status, headers, "application/octet-stream")
        self._file = file
        self._pieces = file.pieces(start, length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._stream(receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._file.close()

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Sends the content, until there is no more or the client has hung up."""
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if gone.done():
                    return
        finally:
            gone.cancel()
            await asyncio.wait([gone])


def _range(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Where the range begins and how long it is; raises `range-not-satisfiable` if there is nothing of it."""
    first, last, suffix = wanted.groups()
    if suffix is not None:
        start, end = max(size - int(suffix), 0), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    if start >= end:
        raise TaskRpcError("range-not-satisfiable", f"The file has {size} bytes", {"size": size})
    return start, end - start
