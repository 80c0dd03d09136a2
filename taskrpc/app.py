"""The composition root: builds a server from its settings, owns its one task group, starts and drains it."""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from taskrpc.engine.definitions import Definitions
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.engine.hints import Hints
from taskrpc.engine.loop import run_every
from taskrpc.engine.reading import Reading
from taskrpc.engine.reaper import Reaper
from taskrpc.engine.results import Results
from taskrpc.engine.tasks import Tasks
from taskrpc.errors import TaskRpcError
from taskrpc.rpc.services import Services
from taskrpc.settings import Settings
from taskrpc.store import log_partitions
from taskrpc.store.claims import Claims
from taskrpc.store.database import Database
from taskrpc.store.definitions import DefinitionStore
from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.hub import Hub
from taskrpc.store.migrate import migrate
from taskrpc.store.reaping import Reaping
from taskrpc.store.signals import Signals
from taskrpc.web import health
from taskrpc.web.application import Application
from taskrpc.web.resources import Resources
from taskrpc.web.rpc_endpoint import RpcEndpoint
from taskrpc.web.server import Server
from taskrpc.wire import yaml_reader

log = logging.getLogger(__name__)

_PATIENCE_AT_START_SECONDS: Final = 60.0
_LOG_KEEPING_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that serves: its address, the URL of its database, and its parts for those who look inside."""

    url: str
    database_url: str
    services: Services
    reaper: Reaper
    database: Database


class Service:
    """One server. `run` serves until `stop` was called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begins the shutdown: waiting polls are answered, requests under way end, then the loops."""
        self._stop.set()

    async def run(self, on_ready: Callable[[Running], None]) -> None:
        """Starts everything, tells `on_ready`, serves, drains. Raises TaskRpcError for what cannot be started."""
        settings = self._settings
        listening = _listen(settings)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(listening.close)
            embedded = None
            if settings.database_url is None:
                embedded = await stack.enter_async_context(EmbeddedPostgres(settings.data_dir))
            url = settings.database_url or (embedded.url if embedded else "")
            await _prepare(url)
            database = Database(url)
            await database.open()
            stack.push_async_callback(database.close)
            async with asyncio.TaskGroup() as group:
                loops = [group.create_task(embedded.supervise())] if embedded else []
                loops.append(group.create_task(database.watch()))
                running = await self._assemble(group, loops, database, listening)
                serving = group.create_task(running[1].run_on(listening))
                on_ready(running[0])
                await self._stop.wait()
                running[1].stop()
                await serving
                for loop in loops:
                    loop.cancel()

    async def _assemble(
        self,
        group: asyncio.TaskGroup,
        loops: list[asyncio.Task[None]],
        database: Database,
        listening: socket.socket,
    ) -> tuple[Running, Server]:
        settings = self._settings
        signals, results = Signals(), Results(database)
        definitions = Definitions(DefinitionStore(database), strict=settings.strict_definitions)
        tasks = Tasks(database, signals, group.create_task, definitions, results)
        claims = Claims(database, tasks.transitions["release"], group.create_task)
        dispatcher, reaper = Dispatcher(claims, group.create_task), Reaper(Reaping(database, signals))
        hints = Hints(dispatcher, results, definitions)
        hub = Hub(database.url, hints) if settings.notify else None
        _connect(signals, database, dispatcher, results, reaper, hints, hub)
        services = Services(tasks, dispatcher, definitions, Reading(database), signals, hints)
        await definitions.reload()
        for path in settings.definitions:
            await _apply(definitions, signals, path)

        async def keep_log() -> float:
            await log_partitions.keep(database, settings.log_retention_days)
            return _LOG_KEEPING_SECONDS

        loops += [
            group.create_task(reaper.run()),
            group.create_task(run_every("slow poll", dispatcher.look)),
            group.create_task(run_every("results", results.look, hints.look_for_results)),
            group.create_task(run_every("definitions", definitions.look, definitions.outdated)),
            group.create_task(run_every("log", keep_log)),
        ]
        if hub is not None:
            loops.append(group.create_task(hub.run()))

        def drain() -> None:
            dispatcher.drain()
            results.drain()

        application = _application(settings, services, database)
        server = Server(application, drain)
        host, port = listening.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return Running(url, database.url, services, reaper, database), server


def _connect(
    signals: Signals,
    database: Database,
    dispatcher: Dispatcher,
    results: Results,
    reaper: Reaper,
    hints: Hints,
    hub: Hub | None,
) -> None:
    """Tells the parts of each other."""
    signals.subscribe(dispatcher.wake, results.ended)
    signals.subscribe_due(reaper.due_in)
    database.on_return(lambda: dispatcher.wake(None))
    database.on_return(reaper.poke)
    database.on_return(hints.look_for_results.set)
    if hub is not None:
        hints.hub = hub
        signals.subscribe(hub.queued, hub.ended)


def _application(settings: Settings, services: Services, database: Database) -> Application:
    async def ready() -> dict[str, object]:
        if not database.is_available:
            return {"status": "unavailable", "reason": "the database cannot be reached"}
        if services.dispatcher.is_draining:
            return {"status": "draining", "reason": "this server stops"}
        return {"status": "ready", "waitingPolls": services.dispatcher.waiting}

    routes = [*Resources(services.reading).routes(), *health.routes(ready)]
    return Application(RpcEndpoint(services, settings.max_body), routes)


def _listen(settings: Settings) -> socket.socket:
    if not settings.insecure and not _is_loopback(settings.host):
        raise TaskRpcError(
            "forbidden",
            f"{settings.host} can be reached from outside, and there are no keys: listen on 127.0.0.1, or say "
            "--insecure if something in front of this server keeps others out",
        )
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=4096)
    except OSError as error:
        raise TaskRpcError(
            "unavailable",
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}; try another --port",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _prepare(url: str) -> None:
    """Applies migrations; a database that is not there yet is waited for."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_AT_START_SECONDS
    while True:
        try:
            for name in await migrate(url):
                log.info("migration %s applied", name)
            return
        except (
            OSError,
            TimeoutError,
            asyncpg.CannotConnectNowError,
            asyncpg.PostgresConnectionError,
        ) as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise TaskRpcError("unavailable", f"The database cannot be reached: {error}") from error
            log.info("waiting for the database: %s", error)
            await asyncio.sleep(1)
        except (asyncpg.PostgresError, ValueError) as error:
            raise TaskRpcError("unavailable", f"The database refuses: {error}") from error


async def _apply(definitions: Definitions, signals: Signals, path: Path) -> None:
    for file, content in _files(path):
        try:
            signals.queued(await definitions.apply_file(file, content, yaml_reader.decode(content)))
        except TaskRpcError as error:
            raise TaskRpcError(error.type, f"{file}: {error.message}", error.data) from error


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
