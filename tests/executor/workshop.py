"""A service for flows, with the reference executor at work on their leaf tasks."""

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
    """A service, a client of it, and the files that its tasks take and leave."""

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
async def empty_workshop(database_url: str, directory: Path) -> AsyncIterator[Workshop]:
    """A workshop for the length of a block in which nobody works; its files are in this directory."""
    async with (
        running_service(database_url, storage=str(directory / "storage")) as running,
        AsyncClient(running.url) as client,
        httpx2.AsyncClient(base_url=running.url) as http,
    ):
        yield Workshop(running, client, http)


@asynccontextmanager
async def workshop(database_url: str, directory: Path) -> AsyncIterator[Workshop]:
    """The same with an executor at work."""
    async with empty_workshop(database_url, directory) as at:
        executor = Executor(at.running.url)
        FlowLeaves(at.running.url).register(executor, concurrency=4)
        async with serving(executor):
            yield at
