"""A commit whose answer gets lost: the server finds out what happened, and neither guesses nor does it twice."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from tests.databases import connected
from tests.services import Reply
from tests.system.conftest import Serve
from tests.system.lossy import LossyPath, lossy_path
from tests.system.postgres import commits_held
from tests.system.waiting import until
from tests.system.wire import Wire, connection

Prepare = Callable[[Wire], Awaitable[dict[str, Any]]]

LIMITS: Final = {"free": {}, "limited": {"concurrencyLimit": 1, "queueLimit": 1}}


async def _nothing(_: Wire) -> dict[str, Any]:
    return {}


async def _requested(wire: Wire) -> dict[str, Any]:
    await wire.call("awf.task/create-and-execute", id="t1", definition="test/task")
    (task,) = (await wire.call("awf.task/poll", taskDefinitions=["test/task"])).result["resources"]
    return {"id": task["id"], "execId": task["execId"]}


async def _running(wire: Wire) -> dict[str, Any]:
    execution = await _requested(wire)
    await wire.call("awf.task/start", **execution)
    return execution


async def _failed(wire: Wire) -> dict[str, Any]:
    await wire.call("awf.task/cancel", id=(await _running(wire))["id"])
    return {"id": "t1"}


async def _id(wire: Wire) -> dict[str, Any]:
    return {"id": (await _running(wire))["id"]}


CALLS: Final[list[tuple[str, Prepare, dict[str, Any], dict[str, Any]]]] = [
    ("create-and-execute", _nothing, {"id": "t1", "definition": "test/task"}, {"status": "ready"}),
    ("start", _requested, {}, {"status": "in-progress", "retryCount": 1}),
    ("success", _running, {"result": 1}, {"status": "done", "outcome": "succeeded", "result": 1}),
    ("fail", _running, {"error": 1}, {"status": "waiting", "error": 1, "retryCount": 1}),
    ("release", _running, {}, {"status": "ready"}),
    ("feedback", _running, {"feedback": 1, "append": True}, {"feedback": [1]}),
    ("cancel", _id, {}, {"status": "done", "outcome": "canceled"}),
    ("stop", _id, {}, {"status": "in-progress"}),
    ("retry", _failed, {}, {"status": "ready"}),
]


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
async def test_a_call_whose_answer_from_the_database_is_lost_is_answered_as_what_it_did(
    own_url: str, place: Path, serve: Serve, limits: dict[str, int]
) -> None:
    async with lossy_path(own_url, place) as path, connected(own_url) as database:
        server = await serve(path.url)
        async with connection(server.url) as wire:
            await wire.call("awf.definition/put", id="test/task", **limits)
            for method, prepare, further, expected in CALLS:
                await database.execute("delete from taskrpc.task; delete from taskrpc.log; delete from taskrpc.gate")
                params = await prepare(wire) | further
                reply = await _with_lost_answer(path, database, wire, f"awf.task/{method}", params)
                resource = reply.result["resource"]
                assert {key: resource.get(key) for key in expected} == expected, method
                actions = [row["action"] for row in await database.fetch("select action from taskrpc.log")]
                assert actions.count(f"awf.task/{method}") == 1, method


async def test_tasks_of_a_claim_whose_answer_is_lost_are_ready_again_at_once(
    own_url: str, place: Path, serve: Serve
) -> None:
    async with lossy_path(own_url, place) as path, connected(own_url) as database:
        server = await serve(path.url)
        async with connection(server.url) as wire:
            await wire.call("awf.task/create-and-execute", id="t1", definition="test/task")
            poll = {"taskDefinitions": ["test/task"], "start": True, "timeout": 5000}
            reply = await _with_lost_answer(path, database, wire, "awf.task/long-poll", poll)
    (task,) = reply.result["resources"]
    assert (task["status"], task["retryCount"]) == ("in-progress", 1)


async def test_a_poll_that_does_not_wait_says_that_its_claim_was_lost(own_url: str, place: Path, serve: Serve) -> None:
    async with lossy_path(own_url, place) as path, connected(own_url) as database:
        server = await serve(path.url)
        async with connection(server.url) as wire:
            await wire.call("awf.task/create-and-execute", id="t1", definition="test/task")
            poll = {"taskDefinitions": ["test/task"]}
            refused = await _with_lost_answer(path, database, wire, "awf.task/poll", poll)
            (task,) = (await wire.call("awf.task/long-poll", timeout=5000, **poll)).result["resources"]
    assert (refused.status, refused.error["type"]) == (503, "unavailable")
    assert task["id"] == "t1"


async def _with_lost_answer(
    path: LossyPath, database: asyncpg.Connection, wire: Wire, method: str, params: dict[str, Any]
) -> Reply:
    """Makes a call; its change is committed, and the connection breaks before the server hears of it."""
    logged = "select count(*) from taskrpc.log"
    before = await database.fetchval(logged)
    async with commits_held(path.database_url) as commits:
        answer = asyncio.ensure_future(wire.call(method, **params))
        await commits.reached()
        path.deaf = True

    async def committed() -> bool:
        return bool(await database.fetchval(logged) > before)

    await until(committed)
    path.cut()
    return await answer
