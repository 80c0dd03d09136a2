"""Servers without HTTP that run flows."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.databases import connected
from tests.engine.headless import Headless, headless
from tests.executions.flows import Flows


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Headless]:
    """A server on this test's database."""
    async with headless(database_url) as server:
        yield server


@pytest.fixture
async def flows(server: Headless) -> Flows:
    """The flows of that server."""
    return Flows(server)


@pytest.fixture
async def still(database_url: str) -> AsyncIterator[Headless]:
    """A server without its loops: nothing is done again that was forgotten."""
    async with headless(database_url, loops=False) as still:
        yield still


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own."""
    async with connected(database_url) as connection:
        yield connection
