"""The composition root: starts a server from its settings, owns its one task group, and drains it."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from taskrpc.engine.flows import is_flow
from taskrpc.engine.loop import spawn
from taskrpc.engine.reaper import Reaper
from taskrpc.engine.scheduler import Scheduler
from taskrpc.errors import TaskRpcError
from taskrpc.parts import Parts, build
from taskrpc.rpc.services import Services
from taskrpc.settings import Settings
from taskrpc.store.database import AWAY, CommitUnknown, Database
from taskrpc.store.migrate import migrate
from taskrpc.web import health, openapi
from taskrpc.web.application import application
from taskrpc.web.files import FileRoutes
from taskrpc.web.listening import listen, url_of
from taskrpc.web.resources import Resources
from taskrpc.web.rest import Rest
from taskrpc.web.rpc_endpoint import RpcEndpoint
from taskrpc.web.server import DRAIN_SECONDS, Server
from taskrpc.web.webhooks import Webhooks
from taskrpc.wire import yaml_reader
from taskrpc.wire.faults import EmptyBodyError
from taskrpc.wire.yaml_places import line_of

log = logging.getLogger(__name__)

_PATIENCE_AT_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that serves: its address, the URL of its database, and its parts for those who look inside."""

    url: str
    database_url: str
    services: Services
    reaper: Reaper
    scheduler: Scheduler
    database: Database


class Service:
    """One server, on a socket of its own or on one that it is given; a worker has a number. `run` serves until `stop`
    was called."""

    def __init__(self, settings: Settings, listening: socket.socket | None = None, worker: int | None = None) -> None:
        self._settings = settings
        self._listening = listening
        self._worker = worker
        self._stop = asyncio.Event()
        self._starting: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Begins the shutdown: waiting polls are answered, requests under way end, then the loops. One that still
        starts ends at once."""
        self._stop.set()
        if self._starting is not None:
            self._starting.reschedule(asyncio.get_running_loop().time())

    async def run(self, on_ready: Callable[[Running], None]) -> None:
        """Starts everything, tells `on_ready`, serves, drains. Raises TaskRpcError for what cannot be started."""
        listening = self._listening or listen(self._settings.host, self._settings.port)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(listening.close)
            try:
                async with asyncio.timeout(None) as self._starting:
                    database = await self._start(stack)
            except TimeoutError:
                if not self._stop.is_set():
                    raise
                return
            finally:
                self._starting = None
            await self._run_group(database, listening, on_ready)

    async def _start(self, stack: contextlib.AsyncExitStack) -> Database:
        url = self._settings.database_url
        if url is None:
            from taskrpc.store.embedded import supervised  # noqa: PLC0415  (it runs on Linux only)

            url = (await stack.enter_async_context(supervised(self._settings.data_dir))).url
        database = Database(url)
        stack.push_async_callback(database.close)
        await _prepare(database)
        return database

    async def _run_group(
        self, database: Database, listening: socket.socket, on_ready: Callable[[Running], None]
    ) -> None:
        try:
            async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as group:
                parts = build(self._settings, database, partial(spawn, group))
                loops = [group.create_task(loop) for loop in parts.loops()]
                await parts.keys.look()
                _refuse_exposure(parts)
                await _load_definitions(parts)
                server = _server(parts, self._worker)
                serving = group.create_task(server.run_on(listening))
                on_ready(_running(url_of(listening), parts))
                await self._stop.wait()
                server.stop()
                await serving
                for loop in loops:
                    loop.cancel()
                patience.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
        except TimeoutError:
            log.warning("stopped while statements were under way: whoever waited for them was told to call again")
        except BaseExceptionGroup as failures:
            refusal = failures.exceptions[0]
            if isinstance(refusal, TaskRpcError):
                raise refusal from None
            if isinstance(refusal, CommitUnknown):  # while it started: whatever works later survives it
                raise TaskRpcError("unavailable", f"The database cannot be reached: {refusal}") from refusal
            raise


def _running(url: str, parts: Parts) -> Running:
    return Running(url, parts.database.url, parts.services, parts.reaper, parts.scheduler, parts.database)


def _server(parts: Parts, worker: int | None) -> Server:
    async def ready() -> dict[str, object]:
        if not parts.database.is_available:
            return {"status": "unavailable", "reason": "the database cannot be reached"}
        if parts.dispatcher.is_draining:
            return {"status": "draining", "reason": "this server stops"}
        return {
            "status": "ready",
            "waitingPolls": parts.dispatcher.waiting,
            "waitingResults": parts.results.waiting,
            **({} if worker is None else {"worker": worker, "workers": parts.settings.workers}),
        }

    rest = Rest(parts.services.asynchronous, parts.keys, parts.settings.max_body)
    routes = [
        *Resources(parts.services.reading, parts.keys).routes(),
        *health.routes(ready),
        *rest.routes(),
        *FileRoutes(parts.services.files, parts.keys).routes(),
        *Webhooks(parts.services.triggers, parts.services.workflows, parts.settings.max_body).routes(),
        *openapi.routes(),
    ]
    rpc = RpcEndpoint(parts.services, parts.keys, parts.settings.max_body)
    return Server(rpc, application(routes), parts.drain)


def _refuse_exposure(parts: Parts) -> None:
    """A server that others can reach needs a key to start; when its last one is revoked it refuses everybody."""
    if parts.keys.refuses_everybody:
        raise TaskRpcError(
            "forbidden",
            f"{parts.settings.host} can be reached from outside, and there are no keys: make one with taskrpc key "
            "create, listen on 127.0.0.1, or say --insecure if something in front of this server keeps others out",
        )


async def _prepare(database: Database) -> None:
    """Applies migrations and connects; a database that is not there yet is waited for."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_AT_START_SECONDS
    while True:
        try:
            for name in await migrate(database.url):
                log.info("migration %s applied", name)
            return await database.open()
        except ValueError as error:
            raise TaskRpcError("unavailable", f"The database's URL is wrong: {error}") from error
        except AWAY as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise TaskRpcError("unavailable", f"The database cannot be reached: {error}") from error
            log.info("waiting for the database: %s", error)
            await asyncio.sleep(1)
        except asyncpg.PostgresError as error:
            raise TaskRpcError("unavailable", f"The database refuses: {error}") from error


async def _load_definitions(parts: Parts) -> None:
    """Applies the files of definitions that the settings name, and reads what the database has."""
    await parts.definitions.reload()
    for path in parts.settings.definitions:
        for file, content in _files(path):
            try:
                await _apply(parts, file, content)
            except TaskRpcError as error:
                raise TaskRpcError(
                    error.type, f"{_place(file, content, error)}: {error.message}", error.data
                ) from error


async def _apply(parts: Parts, file: Path, content: bytes) -> None:
    document = _parsed(content)
    if is_flow(document):
        await parts.services.flows.apply_file(file, content)
    else:
        parts.signals.queued(await parts.definitions.apply_file(file, content, document))


def _parsed(content: bytes) -> object:
    """A file's content; None for one that holds nothing, where a body would be told to name a method."""
    try:
        return yaml_reader.decode(content)
    except EmptyBodyError:
        return None


def _place(file: Path, content: bytes, error: TaskRpcError) -> str:
    """The file, and the line of what an error is about in a flow, a definition or its field; YAML's own errors name
    theirs."""
    data: dict[str, Any] = dict(error.data or {})
    if "errors" in data and "line" in data["errors"][0]:
        return f"{file}, line {data['errors'][0]['line']}"
    if "definition" not in data:
        return str(file)
    fields = data["errors"][0]["path"].split(".") if "errors" in data else []
    line = line_of(content, [data["definition"], *fields])
    return f"{file}, line {line}"


def _files(path: Path) -> list[tuple[Path, bytes]]:
    try:
        files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        return [(file, file.read_bytes()) for file in files]
    except OSError as error:
        raise TaskRpcError("invalid-params", f"{error.filename}: {error.strerror}") from error


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A server for the length of a block, in a task of its own."""
    service = Service(settings)
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(service.run(ready.set_result))
    await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await task
    try:
        yield ready.result()
    finally:
        service.stop()
        await task
