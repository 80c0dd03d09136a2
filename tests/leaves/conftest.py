"""Leaf tasks as flows send them, carried out by the reference executor through a service."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from taskrpc_executors import FlowLeaves

from tests.executor.conftest import create, done
from tests.executor.workshop import Workshop, workshop


@dataclass(frozen=True)
class Bench(Workshop):
    """A workshop whose files are in a directory, and who sends it tasks."""

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


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """An executor of the leaf tasks of flows at work, each task with one attempt."""
    async with workshop(database_url, tmp_path) as at:
        for type in FlowLeaves(at.running.url).types:
            await at.client.definition_put(type, {"allowedRetryCount": 1})
        yield Bench(at.running, at.client, at.http, tmp_path)
