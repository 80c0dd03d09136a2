"""`POST /api/v1/webhook/{namespace}/{flowId}/{key}`: starts a flow. Its key is in the path, no other is needed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taskrpc.core.flow.model import Trigger
from taskrpc.core.ids import uuid7
from taskrpc.core.model import task_resource
from taskrpc.engine.caller import Caller
from taskrpc.engine.flow_triggers import FlowTriggers
from taskrpc.engine.flows import flow_name
from taskrpc.engine.workflows import Workflows
from taskrpc.errors import TaskRpcError
from taskrpc.store.workflows import NewWorkflow
from taskrpc.web.answering import answering, hung_up
from taskrpc.web.bodies import body_of, refuse_encoded
from taskrpc.web.rpc_endpoint import STOPPED
from taskrpc.wire.codecs import JSON, request_codec

WEBHOOK_PATH: Final = "/api/v1/webhook/"
# What a call says stays with the execution, and is written with each of its steps.
LARGEST_CALL: Final = 1024 * 1024
LONGEST_WAIT_SECONDS: Final = 600.0
# What lets somebody in elsewhere is no business of a flow.
_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


class Webhooks:
    """The addresses of all flows."""

    def __init__(self, triggers: FlowTriggers, workflows: Workflows, max_body: int) -> None:
        self._triggers = triggers
        self._workflows = workflows
        self._largest = min(max_body, LARGEST_CALL)

    def routes(self) -> list[Route]:
        """All paths below the prefix."""
        return [Route(f"{WEBHOOK_PATH}{{path:path}}", answering(self._call, "a webhook", STOPPED), methods=["POST"])]

    async def _call(self, request: Request) -> Response:
        name, key = _place(request.scope["raw_path"])
        trigger = await self._triggers.webhook(name, key)
        if trigger is None:
            raise TaskRpcError("not-found", "There is no webhook with this key")
        said = {
            "body": await _body(request, self._largest),
            "headers": _lists(header for header in request.headers.items() if header[0] not in _CREDENTIALS),
            "parameters": _lists(request.query_params.multi_items()),
        }
        row = await self._started(name, trigger, said)
        if row is None:
            return Response(status_code=204)
        return await self._answer(trigger, row["id"], request)

    async def _started(self, name: str, trigger: Trigger, said: dict[str, Any]) -> Any:
        """The row of the execution; None where a condition of the trigger does not hold."""
        execution_id = uuid7()

        async def prepare() -> NewWorkflow:
            new = await self._triggers.called(name, trigger.id, execution_id, said)
            if new is None:
                raise _NotWantedError
            return new

        try:
            return await self._workflows.begin(prepare)
        except _NotWantedError:
            return None

    async def _answer(self, trigger: Trigger, execution_id: str, request: Request) -> Response:
        seconds = LONGEST_WAIT_SECONDS if trigger.properties.get("wait") else 0
        caller = Caller()
        gone = asyncio.ensure_future(_leave(request, caller))
        try:
            row = await self._workflows.result(execution_id, seconds, caller)
        finally:
            gone.cancel()
        resource = task_resource(row)
        if trigger.properties.get("returnOutputs") and resource.get("outcome") == "succeeded":
            return Response(JSON.encode(resource.get("result", {})), media_type=JSON.content_type)
        return Response(JSON.encode({"resource": resource}), media_type=JSON.content_type)


class _NotWantedError(Exception):
    """A condition of the trigger does not hold."""


def _place(raw_path: bytes) -> tuple[str, str]:
    """The name of the flow and the key; raises `not-found` where the path has another form."""
    parts = raw_path.decode("latin-1").removeprefix(WEBHOOK_PATH).split("/")
    if len(parts) != 3:
        raise TaskRpcError("not-found", f"A webhook is called at {WEBHOOK_PATH}{{namespace}}/{{flowId}}/{{key}}")
    namespace, id, key = (unquote(part) for part in parts)
    name = flow_name(namespace, id)
    if "\0" in name:
        raise TaskRpcError("not-found", "There is no webhook with this key")
    return name, key


def _lists(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        found[name].append(value)
    return dict(found)


async def _body(request: Request, most: int) -> object:
    """JSON as what it is, anything else as text; None for nothing."""
    refuse_encoded(request)
    content = await body_of(request, most)
    if not content:
        return None
    try:
        return JSON.decode(content)
    except TaskRpcError:
        if _says_json(request):
            raise
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise TaskRpcError("unsupported-media-type", "The body is neither JSON nor text in UTF-8") from None
    if "\0" in text:
        raise TaskRpcError("unsupported-media-type", "The body has a NUL, which cannot be stored")
    return text


def _says_json(request: Request) -> bool:
    said = request.headers.get("content-type")
    try:
        return said is not None and request_codec(said.encode("latin-1")) is JSON
    except TaskRpcError:
        return False


async def _leave(request: Request, caller: Caller) -> None:
    await hung_up(request.receive)
    caller.leave()
