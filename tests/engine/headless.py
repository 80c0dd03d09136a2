"""Servers without HTTP, for tests that need many calls, several servers, or a look inside."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from taskrpc.errors import TaskRpcError
from taskrpc.parts import Parts, build
from taskrpc.rpc.batch import Entry, carry_out_one
from taskrpc.rpc.services import Context
from taskrpc.settings import Settings
from taskrpc.store.database import Database
from taskrpc.store.reaping import Reaping
from taskrpc.wire.codecs import JSON


class Headless:
    """Calls the methods of one server directly; params have the names of the wire."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def call(self, method: str, **params: Any) -> Any:
        """The result, as JSON would show it; raises the TaskRpcError of a refusal."""
        answer = await carry_out_one(self.parts.services, Context(), Entry(method, params))
        if isinstance(answer, TaskRpcError):
            raise answer
        return JSON.decode(JSON.encode(answer))

    async def create(self, definition: str = "test/task", **params: Any) -> Any:
        """A new task's resource."""
        return (await self.call("awf.task/create-and-execute", definition=definition, **params))["resource"]

    async def poll(self, *definitions: str, **params: Any) -> list[Any]:
        """Tasks that were handed out."""
        names = list(definitions) or ["test/task"]
        resources: list[Any] = (await self.call("awf.task/poll", taskDefinitions=names, **params))["resources"]
        return resources

    async def started(self, definition: str = "test/task", **params: Any) -> Any:
        """A new task that is in progress; no other of its definition may be ready."""
        await self.create(definition, **params)
        (task,) = await self.poll(definition, start=True)
        return task

    async def of(self, method: str, task: Any, **params: Any) -> Any:
        """The resource after a call of a task's current execution."""
        return (await self.call(f"awf.task/{method}", id=task["id"], execId=task["execId"], **params))["resource"]

    async def status(self, task: Any) -> Any:
        """A task as it is now."""
        return (await self.call("awf.task/status", id=task["id"]))["resource"]


@contextlib.asynccontextmanager
async def headless(database_url: str, *, loops: bool = True, **settings: Any) -> AsyncIterator[Headless]:
    """A server for the length of a block; without its `loops` nothing happens that the test does not do."""
    settings.setdefault("notify", os.environ.get("TASKRPC_NOTIFY", "1") not in ("0", "false", "off"))
    database = Database(database_url)
    await database.open()
    try:
        async with asyncio.TaskGroup() as group:
            parts = build(Settings(database_url=database_url, **settings), database, group.create_task)
            running = [group.create_task(loop) for loop in (parts.loops() if loops else [database.watch()])]
            await Reaping(database, parts.signals).beat()
            await parts.definitions.reload()
            yield Headless(parts)
            parts.drain()
            for loop in running:
                loop.cancel()
    finally:
        await database.close()
