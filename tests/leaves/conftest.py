"""Leaf tasks as flows send them, carried out by the reference executor through a service."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from taskrpc_executors import FlowLeaves

from taskrpc import AsyncClient, Executor
from taskrpc.app import Running
from tests.executor.conftest import create, done, serving
from tests.services import running_service


@dataclass(frozen=True)
class Bench:
    """A service, an executor at work, and who sends it tasks."""

    running: Running
    client: AsyncClient
    http: httpx2.AsyncClient
    directory: Path

    async def begin(self, type: str, **properties: Any) -> str:
        """The id of a new task of a type."""
        return await create(self.client, properties, type)

    async def ended(self, type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """A task of a type when it is done."""
        return await done(self.client, await create(self.client, properties, type))

    async def outputs(self, type: str, **properties: Any) -> Any:
        """What a task of a type ends with; fails the test unless it succeeds."""
        task = await self.ended(type, properties)
        assert task["outcome"] == "succeeded", task.get("error")
        return task["result"]

    async def error(self, type: str, **properties: Any) -> Any:
        """How a task of a type fails."""
        task = await self.ended(type, properties)
        assert task["outcome"] == "failed", task
        return task["error"]

    async def store(self, path: str, content: bytes) -> str:
        """Puts a file into the internal storage; its URI."""
        uri: str = (await self.http.put(f"/files/{path}", content=content)).json()["uri"]
        return uri

    async def content(self, uri: str) -> bytes:
        """A file of the internal storage."""
        got = await self.http.get("/files/" + uri.removeprefix("kestra:///"))
        assert got.status_code == 200, got.content
        return got.content


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """An executor of the leaf tasks of flows at work, each task with one attempt."""
    settings: dict[str, Any] = {"storage": str(tmp_path / "storage")}
    async with (
        running_service(database_url, **settings) as running,
        AsyncClient(running.url) as client,
        httpx2.AsyncClient(base_url=running.url) as http,
    ):
        executor = Executor(running.url)
        leaves = FlowLeaves(running.url)
        leaves.register(executor, concurrency=4)
        for type in leaves.types:
            await client.definition_put(type, {"allowedRetryCount": 1})
        async with serving(executor):
            yield Bench(running, client, http, tmp_path)
