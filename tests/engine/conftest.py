"""Servers without HTTP for each test."""

from collections.abc import AsyncIterator

import pytest

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
