"""Health, and what clients are told while the database is away and after it came back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from taskrpc.app import Running
from tests.conftest import Template
from tests.databases import connected
from tests.services import Reply, Rpc

DEADLINE_SECONDS = 20


async def _rename(admin: asyncpg.Connection, name: str, other: str) -> object:
    """Renames a database, which needs that nobody is connected to it."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            await admin.fetch("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
            with contextlib.suppress(asyncpg.ObjectInUseError):  # somebody connected again
                return await admin.execute(f"alter database {name} rename to {other}")


@contextlib.asynccontextmanager
async def away(server_url: str, database_url: str) -> AsyncIterator[None]:
    """For the length of the block the database cannot be reached: it has another name."""
    name = urlsplit(database_url).path.removeprefix("/")
    async with connected(server_url) as admin:
        await _rename(admin, name, f"{name}_away")
        try:
            yield
        finally:
            await _rename(admin, f"{name}_away", name)


async def readiness(rpc: Rpc, status: int) -> Reply:
    """What `/health/ready` answers once its status is as wanted."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (reply := await rpc.get("/health/ready")).status != status:
            pass
    return reply


async def test_a_server_that_serves_is_live_and_ready(rpc: Rpc) -> None:
    live, ready = await rpc.get("/health/live"), await rpc.get("/health/ready")
    assert (live.status, live.body) == (200, {"status": "live"})
    assert (ready.status, ready.body["status"]) == (200, "ready")


async def test_ready_tells_how_many_polls_wait(rpc: Rpc, service: Running) -> None:
    waiting = asyncio.ensure_future(rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], timeout=60000))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await rpc.get("/health/ready")).body["waitingPolls"] != 1:
            pass
    await rpc.create()
    await waiting


async def test_a_server_without_its_database_is_live_but_not_ready(
    rpc: Rpc, database_template: Template, database_url: str
) -> None:
    async with away(database_template.server_url, database_url):
        reply = await readiness(rpc, 503)
        assert reply.body == {"status": "unavailable", "reason": "the database cannot be reached"}
        assert (await rpc.get("/health/live")).status == 200
    await readiness(rpc, 200)


UNAVAILABLE = {
    "type": "unavailable",
    "message": "The database cannot be reached; nothing was done, try again",
    "data": {"retryAfter": 1},
}


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_without_the_database_every_call_is_refused_at_once_and_says_when_to_try_again(
    form: str, service: Running, database_template: Template, database_url: str
) -> None:
    async with Rpc(service.url, form) as rpc:
        task = await rpc.started()
        execution = {"id": task["id"], "execId": task["execId"]}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("awf.task/poll", {"taskDefinitions": ["test/task"]}),
            ("awf.task/notify", execution | {"notification": "heartbeat"}),
            ("awf.task/success", execution),
            ("awf.task/fail", execution),
            ("awf.task/create-and-execute", {"definition": "test/task"}),
            ("awf.task/status", {"id": task["id"]}),
            ("awf.task/cancel", {"id": task["id"]}),
            ("awf.task/list", {}),
            ("awf.definition/put", {"id": "test/task"}),
        ]
        async with away(database_template.server_url, database_url):
            await readiness(rpc, 503)
            for method, params in calls:
                reply = await rpc.call(method, **params)
                assert (reply.status, reply.error, reply.headers["retry-after"]) == (503, UNAVAILABLE, "1"), method
            batch = await rpc.post([{"method": method, "params": params, "id": method} for method, params in calls])
            strict = await rpc.post({"jsonrpc": "2.0", "id": 1, "method": "awf.task/list"})
            read = await rpc.get("/AidboxTask")
        assert batch.status == 200
        assert batch.body == [{"error": UNAVAILABLE, "id": method} for method, _ in calls]
        assert (strict.status, strict.error["code"], strict.error["data"]["type"]) == (200, -32000, "unavailable")
        assert (read.status, read.error, read.headers["retry-after"]) == (503, UNAVAILABLE, "1")


async def test_calls_that_were_refused_did_nothing_and_go_through_afterwards(
    rpc: Rpc, database_template: Template, database_url: str
) -> None:
    task = await rpc.started()
    call = {"id": task["id"], "execId": task["execId"], "result": 1}
    async with away(database_template.server_url, database_url):
        await readiness(rpc, 503)
        assert (await rpc.call("awf.task/success", **call)).error == UNAVAILABLE
    await readiness(rpc, 200)
    status = (await rpc.call("awf.task/status", id=task["id"])).result["resource"]
    assert (status["status"], status["meta"]) == ("in-progress", task["meta"])
    assert (await rpc.call("awf.task/success", **call)).result["resource"]["outcome"] == "succeeded"
