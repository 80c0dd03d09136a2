"""Fixtures of the tests with real processes: servers that are killed after the test, a PostgreSQL to be maltreated."""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from taskrpc.store.embedded.home import find_home
from taskrpc.store.embedded.processes import server_processes
from tests.databases import copy_of, template, temporary_directory
from tests.system.postgres import Postgres
from tests.system.processes import ServerProcess
from tests.system.waiting import until

Serve = Callable[..., Awaitable[ServerProcess]]


@pytest.fixture
async def spawn(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts `taskrpc serve` with the given arguments; whatever happened to them, no server may log a defect."""
    servers: list[ServerProcess] = []
    numbers = itertools.count()

    async def start(*arguments: str) -> ServerProcess:
        server = await ServerProcess.spawn(tmp_path / f"server-{next(numbers)}.log", *arguments)
        servers.append(server)
        return server

    yield start
    await asyncio.gather(*(server.kill() for server in servers))
    for server in servers:
        assert "Traceback" not in server.log, server.log


@pytest.fixture
async def serve(spawn: Serve) -> Serve:
    """Starts `taskrpc serve` on the database of a URL, with further arguments, and waits until it is ready."""

    async def start(database_url: str, *arguments: str) -> ServerProcess:
        return await (await spawn("--database-url", database_url, *arguments)).ready()

    return start


@pytest.fixture
async def data_dir(place: Path) -> AsyncIterator[Path]:
    """The path of a data directory that is not there yet; its PostgreSQL has ended when it is removed."""
    yield place / "data"
    home = find_home(place / "data")

    async def ended() -> bool:
        return home is None or not server_processes(home)

    await until(ended)


@pytest.fixture(scope="session")
def postgres_and_template() -> Iterator[tuple[Postgres, str]]:
    """One PostgreSQL of our own per session; a fixture of its own loop, like `database_template`."""
    directory = temporary_directory()
    postgres = Postgres(directory / "data")
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            runner.run(postgres.start())
            stack.push_async_callback(postgres.stop)
            yield postgres, runner.run(stack.enter_async_context(template(postgres.url)))
        finally:
            runner.run(stack.aclose())
            shutil.rmtree(directory)


@pytest.fixture
def postgres(postgres_and_template: tuple[Postgres, str]) -> Postgres:
    """A PostgreSQL that this test may stop and kill; it has to run again at the end."""
    return postgres_and_template[0]


@pytest.fixture
async def own_url(postgres_and_template: tuple[Postgres, str]) -> AsyncIterator[str]:
    """The URL of a migrated database of that PostgreSQL, which this test has for itself."""
    server, name = postgres_and_template
    async with copy_of(server.url, name) as url:
        yield url
