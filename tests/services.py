"""Servers for tests: real ones on real databases, in this process, and a small client that speaks raw HTTP."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from taskrpc.app import Running, running
from taskrpc.settings import Settings
from taskrpc.wire.codecs import JSON, YAML


@contextlib.asynccontextmanager
async def running_service(database_url: str, **settings: Any) -> AsyncIterator[Running]:
    """A server on a free port, for the length of a block. TASKRPC_NOTIFY=0 switches NOTIFY off for all of them."""
    settings.setdefault("notify", os.environ.get("TASKRPC_NOTIFY", "1") not in ("0", "false", "off"))
    async with running(Settings(port=0, database_url=database_url, **settings)) as server:
        yield server


@dataclass(frozen=True)
class Reply:
    """An answer of the server: its status, headers and decoded body."""

    status: int
    headers: Any
    body: Any

    @property
    def result(self) -> Any:
        """The result; fails the test when the answer is an error."""
        assert "result" in self.body, self.body
        return self.body["result"]

    @property
    def error(self) -> Any:
        """The error; fails the test when the answer is a result."""
        assert "error" in self.body, self.body
        return self.body["error"]


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until a condition of this process holds; fails after so many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    for _ in iter(holds, True):
        assert asyncio.get_running_loop().time() < deadline, "this did not come about in time"
        await asyncio.sleep(0.001)


class Rpc:
    """Calls methods of one server, in JSON or YAML."""

    def __init__(self, url: str, form: str = "json", headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self._codec = YAML if form == "yaml" else JSON
        self._http = httpx2.AsyncClient(base_url=url, timeout=90, headers=headers)

    async def __aenter__(self) -> "Rpc":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def call(self, method: str, **params: Any) -> Reply:
        """One call; names of params are those of the wire."""
        return await self.post({"method": method, "params": params})

    async def post(self, body: Any) -> Reply:
        """Any body that the codec can write."""
        return await self.send(self._codec.encode(body), {"content-type": self._codec.content_type})

    async def send(self, content: bytes, headers: dict[str, str]) -> Reply:
        """Raw bytes."""
        response = await self._http.post("/rpc", content=content, headers=headers)
        codec = YAML if "yaml" in response.headers.get("content-type", "") else JSON
        return Reply(
            response.status_code,
            response.headers,
            codec.decode(response.content) if response.content else None,
        )

    async def get(self, path: str, **query: str) -> Reply:
        """Reading over plain HTTP; `query` may have names with leading dots through `**{".status": …}`."""
        response = await self._http.get(path, params=query or None)
        return Reply(response.status_code, response.headers, JSON.decode(response.content))

    async def create(self, definition: str = "test/task", **further: Any) -> Any:
        """A new task's resource."""
        return (await self.call("awf.task/create-and-execute", definition=definition, **further)).result["resource"]

    async def poll(self, *definitions: str, **further: Any) -> list[Any]:
        """Tasks that were handed out."""
        names = list(definitions) or ["test/task"]
        result = (await self.call("awf.task/poll", taskDefinitions=names, **further)).result
        resources: list[Any] = result["resources"]
        return resources

    async def started(self, definition: str = "test/task", **further: Any) -> Any:
        """A new task that is in progress."""
        created = await self.create(definition, **further)
        (task,) = [task for task in await self.poll(definition, maxBatchSize=1000) if task["id"] == created["id"]]
        return (await self.call("awf.task/start", id=task["id"], execId=task["execId"])).result["resource"]
