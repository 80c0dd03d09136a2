"""The life cycle over HTTP, on a real database; time is moved, not waited for."""

import asyncio

from taskrpc.app import Running
from tests.databases import Clock
from tests.services import Rpc, until


async def test_a_task_is_created_polled_started_and_ended(rpc: Rpc) -> None:
    created = await rpc.create(params={"n": 1})
    assert created["status"] == "ready"
    (polled,) = await rpc.poll()
    assert (polled["id"], polled["status"], polled["params"]) == (created["id"], "requested", {"n": 1})
    call = {"id": polled["id"], "execId": polled["execId"]}
    started = (await rpc.call("awf.task/start", **call)).result["resource"]
    assert (started["status"], started["retryCount"]) == ("in-progress", 1)
    ended = (await rpc.call("awf.task/success", **call, result={"rows": 3})).result["resource"]
    assert (ended["status"], ended["outcome"], ended["result"]) == ("done", "succeeded", {"rows": 3})
    assert ended["execId"] == polled["execId"]


async def test_a_long_poll_is_answered_when_a_task_is_created(rpc: Rpc, service: Running) -> None:
    waiting = asyncio.ensure_future(rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], timeout=60000))
    await until(lambda: service.services.dispatcher.waiting == 1)
    created = await rpc.create()
    (task,) = (await waiting).result["resources"]
    assert task["id"] == created["id"]


async def test_a_failed_task_waits_for_its_retry_and_then_fails_finally(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    task = await rpc.started()
    failed = (await rpc.call("awf.task/fail", id=task["id"], execId=task["execId"], error={"why": 1})).result[
        "resource"
    ]
    assert (failed["status"], failed["retryCount"], failed["error"]) == ("waiting", 1, {"why": 1})
    assert "execId" not in failed
    await clock.advance(10)
    service.reaper.poke()
    (again,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"])).result["resources"]
    call = {"id": again["id"], "execId": again["execId"]}
    await rpc.call("awf.task/start", **call)
    final = (await rpc.call("awf.task/fail", **call)).result["resource"]
    assert (final["status"], final["outcome"], final["retryCount"]) == ("done", "failed", 2)
    assert final["outcomeReason"] == {"type": "awf.task/failed-by-executor", "message": "Failed by executor"}
