"""Fixtures for all tests: a fresh, migrated database per test, its clock, and servers on it."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from taskrpc.app import Running
from tests import databases
from tests.databases import Clock, connected, copy_of, template, temporary_directory
from tests.engine.headless import Headless, headless
from tests.services import Rpc, running_service


@dataclass(frozen=True)
class Template:
    """A migrated database on a server, of which each test gets a copy."""

    server_url: str
    name: str


@pytest.fixture(scope="session")
def database_template() -> Iterator[Template]:
    """One server and one migrated database per session, or per worker of a parallel one.

    A fixture of its own loop: those of the tests are younger. The server lives as long as this, the main
    thread.
    """
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            server_url = runner.run(stack.enter_async_context(databases.server()))
            yield Template(server_url, runner.run(stack.enter_async_context(template(server_url))))
        finally:
            runner.run(stack.aclose())


@pytest.fixture
async def database_url(database_template: Template) -> AsyncIterator[str]:
    """The URL of a database with all migrations applied that this test has for itself."""
    async with copy_of(database_template.server_url, database_template.name) as url:
        yield url


@pytest.fixture
async def clock(database_url: str) -> Clock:
    """The clock of this test's database, put in its place already."""
    clock = Clock(database_url)
    await clock.install()
    return clock


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own to this test's database."""
    async with connected(database_url) as connection:
        yield connection


@pytest.fixture
def place() -> Iterator[Path]:
    """A new directory that any account may pass through, removed after the test."""
    directory = temporary_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Headless]:
    """A server without HTTP on this test's database."""
    async with headless(database_url) as server:
        yield server


@pytest.fixture
async def other(server: Headless, database_url: str) -> AsyncIterator[Headless]:
    """A second server on the same database."""
    async with headless(database_url) as other:
        yield other


@pytest.fixture
async def still(database_url: str) -> AsyncIterator[Headless]:
    """A server without its loops: nothing happens that the test does not do."""
    async with headless(database_url, loops=False) as still:
        yield still


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Running]:
    """A server on this test's database, reached over HTTP."""
    async with running_service(database_url) as server:
        yield server


@pytest.fixture
async def rpc(service: Running) -> AsyncIterator[Rpc]:
    """Calls of that server, in JSON."""
    async with Rpc(service.url) as calls:
        yield calls
