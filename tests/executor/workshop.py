"""A service with the reference executor at work on the leaf tasks of flows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from taskrpc_executors import FlowLeaves

from taskrpc import AsyncClient, Executor
from taskrpc.app import Running
from tests.executor.conftest import serving
from tests.services import running_service


@dataclass(frozen=True)
class Workshop:
    """Such a service, a client of it, and the files that its tasks take and leave."""

    running: Running
    client: AsyncClient
    http: httpx2.AsyncClient

    async def store(self, path: str, content: bytes) -> str:
        """Puts a file into the internal storage; its URI."""
        uri: str = (await self.http.put(f"/files/{path}", content=content)).json()["uri"]
        return uri

    async def content(self, uri: str) -> bytes:
        """A file of the internal storage."""
        got = await self.http.get("/files/" + uri.removeprefix("kestra:///"))
        assert got.status_code == 200, got.content
        return got.content


@asynccontextmanager
async def workshop(database_url: str, directory: Path) -> AsyncIterator[Workshop]:
    """A workshop for the length of a block, with its files in this directory."""
    async with (
        running_service(database_url, storage=str(directory / "storage")) as running,
        AsyncClient(running.url) as client,
        httpx2.AsyncClient(base_url=running.url) as http,
    ):
        executor = Executor(running.url)
        FlowLeaves(running.url).register(executor, concurrency=4)
        async with serving(executor):
            yield Workshop(running, client, http)
