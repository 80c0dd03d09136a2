"""Servers without HTTP on a test's database, and somebody who looks at it from outside."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.databases import connected
from tests.engine.headless import Headless, headless


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Headless]:
    """A server on this test's database."""
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
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own."""
    async with connected(database_url) as connection:
        yield connection
