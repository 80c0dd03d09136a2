"""A server without HTTP, for tests that look inside."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.headless import Headless, headless


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Headless]:
    """A server on this test's database."""
    async with headless(database_url) as server:
        yield server
