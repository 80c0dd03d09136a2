"""A client beside the executor under test, and the executor as a task of the test's loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from taskrpc import AsyncClient, Executor
from taskrpc.app import Running

DEFINITION = "test/work"
DEADLINE = 20.0


@pytest.fixture
def url(service: Running) -> str:
    """The address of the service."""
    return service.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    """The user's side."""
    async with AsyncClient(url) as client:
        yield client


@asynccontextmanager
async def serving(executor: Executor) -> AsyncIterator[asyncio.Task[None]]:
    """The executor at work; at the end it is drained without grace."""
    serve = asyncio.create_task(executor.serve())
    try:
        yield serve
    finally:
        executor.drain()
        executor.drain()
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait([serve])


async def create(client: AsyncClient, params: Any = None, definition: str = DEFINITION) -> str:
    """Put a task into the queue; its id."""
    created = await client.create_and_execute(definition, params)
    id: str = created["resource"]["id"]
    return id


async def done(client: AsyncClient, id: str) -> dict[str, Any]:
    """The task when it is done."""
    answer = await client.result(id, timeout=int(DEADLINE * 1000))
    resource: dict[str, Any] = answer["resource"]
    assert resource["status"] == "done", resource
    return resource


async def resource_of(client: AsyncClient, id: str) -> dict[str, Any]:
    """The task as it is now."""
    resource: dict[str, Any] = (await client.status(id))["resource"]
    return resource
