"""The sync and the async client behind one face, so that every test of a call is one of both."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from taskrpc import AsyncClient, Client
from taskrpc.app import Running
from taskrpc.client import RetryPolicy
from tests.client.cutting_proxy import CuttingProxy, cutting_proxy


@pytest.fixture
async def proxy(service: Running) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of the service that breaks what it is told to break."""
    async with cutting_proxy(service.url) as proxy:
        yield proxy


class EitherClient:
    """Calls a method of a client and awaits what it answers; the sync one in a thread, since it blocks."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    async def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        if isinstance(self.client, Client):
            return await asyncio.to_thread(getattr(self.client, method), *arguments, **named)
        return await getattr(self.client, method)(*arguments, **named)


@pytest.fixture(params=["sync", "async"])
async def call(request: pytest.FixtureRequest, proxy: CuttingProxy) -> AsyncIterator[EitherClient]:
    """A client that reaches the service through the proxy."""
    retry = RetryPolicy(budget=5.0, first_delay=0.01)
    if request.param == "sync":
        with Client(proxy.url, retry=retry) as client:
            yield EitherClient(client)
    else:
        async with AsyncClient(proxy.url, retry=retry) as async_client:
            yield EitherClient(async_client)
