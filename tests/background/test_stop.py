"""Stopping what runs: its executor learns it with the next heartbeat, and cannot put it off."""

import asyncio
from typing import Any

from taskrpc import AsyncClient, Executor, Task
from taskrpc.app import Running
from tests.databases import Clock
from tests.services import Rpc

DEFINITION = "test/job"
HEARTBEAT_SECONDS = 2.0


async def _running_job(rpc: Rpc, seconds: int = 120, **fields: Any) -> Any:
    await rpc.call("awf.definition/put", id=DEFINITION, inProgressTimeout=seconds * 1000, **fields)
    return await rpc.started(DEFINITION)


async def _phase(rpc: Rpc, task: Any) -> str:
    phase: str = (await rpc.call("awf.task/status", id=task["id"])).result["phase"]
    return phase


async def _heartbeat(rpc: Rpc, task: Any) -> Any:
    call = {"id": task["id"], "execId": task["execId"], "notification": "heartbeat"}
    return (await rpc.call("awf.task/notify", **call)).result


async def test_an_executor_learns_of_a_stop_within_one_heartbeat(rpc: Rpc, service: Running) -> None:
    await rpc.call("awf.definition/put", id=DEFINITION, inProgressTimeout=int(HEARTBEAT_SECONDS * 3000))
    begun, stopped = asyncio.Event(), asyncio.Event()
    executor = Executor(service.url)

    @executor.task(DEFINITION)
    async def work(task: Task) -> str:
        begun.set()
        await task.stopped()
        stopped.set()
        return "half"

    serving = asyncio.ensure_future(executor.serve())
    try:
        task = await rpc.create(DEFINITION)
        async with asyncio.timeout(20):
            await begun.wait()
        await rpc.call("awf.task/stop", id=task["id"])
        async with asyncio.timeout(HEARTBEAT_SECONDS * 1.5):
            await stopped.wait()
        ended = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    finally:
        executor.drain()
        await serving
    assert (ended["outcome"], ended["result"]) == ("canceled", "half")


async def test_heartbeats_do_not_move_the_deadline_of_a_task_that_is_to_stop(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    task = await _running_job(rpc)
    await clock.advance(60)
    deadline = (await _heartbeat(rpc, task))["inProgressTimeoutAt"]
    assert deadline > task["inProgressTimeoutAt"]
    await rpc.call("awf.task/stop", id=task["id"])
    await clock.advance(110)
    assert await _heartbeat(rpc, task) == {
        "inProgressTimeoutAt": deadline,
        "inProgressTimeout": 120_000,
        "stopRequested": True,
    }
    assert await _phase(rpc, task) == "stopping"
    await clock.advance(11)
    service.reaper.poke()
    ended = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert (ended["status"], ended["outcome"], ended["retryCount"]) == ("done", "canceled", 1)
    assert await _phase(rpc, task) == "stopped"


async def test_an_executor_that_ignored_the_stop_is_refused_after_the_deadline(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    task = await _running_job(rpc)
    await rpc.call("awf.task/stop", id=task["id"])
    await clock.advance(121)
    service.reaper.poke()
    await rpc.call("awf.task/result", id=task["id"])
    late = await rpc.call("awf.task/success", id=task["id"], execId=task["execId"], result="all of it")
    assert (late.error["type"], late.error["data"]) == ("wrong-status", {"status": "done", "outcome": "canceled"})


async def test_a_stopped_task_is_not_tried_again_whatever_its_definition_allows(rpc: Rpc) -> None:
    task = await _running_job(rpc, allowedRetryCount=5)
    await rpc.call("awf.task/stop", id=task["id"])
    await rpc.call("awf.task/fail", id=task["id"], execId=task["execId"])
    assert await _phase(rpc, task) == "stopped"


async def test_a_job_that_is_dropped_is_in_error(rpc: Rpc, service: Running, clock: Clock) -> None:
    task = await _running_job(rpc, timeout=60_000)
    await clock.advance(61)
    service.reaper.poke()
    ended = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert ended["outcomeReason"]["type"] == "awf.task/dropped"
    assert await _phase(rpc, task) == "error"


async def test_the_client_of_python_stops_and_waits(rpc: Rpc, service: Running) -> None:
    task = await _running_job(rpc)
    async with AsyncClient(service.url) as client:
        assert (await client.stop(task["id"]))["stopRequested"] is True
        assert (await client.status(task["id"]))["phase"] == "stopping"
        await client.fail(task["id"], task["execId"])
        assert (await client.result(task["id"]))["resource"]["outcome"] == "canceled"
