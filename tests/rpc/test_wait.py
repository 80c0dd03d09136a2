"""`awf.task/wait`: a task that the server itself ends when its time has come."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from taskrpc.app import Running
from tests.databases import Clock, connected
from tests.services import Rpc, running_service

WAIT = "awf.task/wait"


async def ended(rpc: Rpc, task: Any) -> Any:
    """The task once it is done."""
    resource = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert resource["status"] == "done"
    return resource


def at(resource: Any, key: str) -> datetime:
    return datetime.fromisoformat(resource["meta"][key] if key in resource["meta"] else resource[key])


async def test_a_wait_is_in_progress_until_its_duration_is_over(rpc: Rpc, service: Running, clock: Clock) -> None:
    task = await rpc.create(WAIT, params={"duration": {"hours": 4, "minutes": 30, "seconds": 15}})
    assert (task["status"], task["retryCount"]) == ("in-progress", 1)
    assert "execId" not in task
    assert "inProgressTimeoutAt" not in task
    assert at(task, "executeAt") - at(task, "createdAt") == timedelta(hours=4, minutes=30, seconds=15)
    await clock.advance(4.5 * 3600)
    service.reaper.poke()
    assert (await rpc.call("awf.task/result", id=task["id"], timeout=1)).result["resource"]["status"] == "in-progress"
    await clock.advance(15)
    service.reaper.poke()
    done = await ended(rpc, task)
    assert (done["outcome"], "result" in done) == ("succeeded", False)
    assert at(done, "lastUpdated") >= at(task, "executeAt")


async def test_a_wait_ends_at_a_time(rpc: Rpc, service: Running, clock: Clock) -> None:
    task = await rpc.create(WAIT, params={"until": "2100-01-01T12:00:00+02:00"})
    assert task["executeAt"] == "2100-01-01T10:00:00.000000Z"
    await clock.advance(75 * 366 * 86400)
    service.reaper.poke()
    assert (await ended(rpc, task))["outcome"] == "succeeded"


async def test_a_wait_for_a_time_that_has_passed_is_over_at_once(rpc: Rpc) -> None:
    assert (await ended(rpc, await rpc.create(WAIT, params={"until": "2020-01-01"})))["outcome"] == "succeeded"
    assert (await ended(rpc, await rpc.create(WAIT, params={"duration": {"seconds": 0}})))["outcome"] == "succeeded"


async def test_a_wait_ends_soon_after_its_time_and_never_before(rpc: Rpc, service: Running) -> None:
    """How soon, is measured by `tests.bench.waits`; here it is sooner than a server looks that nobody has told."""
    tasks = await asyncio.gather(*(rpc.create(WAIT, params={"duration": {"seconds": 1}}) for _ in range(20)))
    for task in tasks:
        done = await ended(rpc, task)
        late = at(done, "lastUpdated") - at(task, "executeAt")
        assert timedelta(0) <= late < timedelta(milliseconds=900)


@pytest.mark.parametrize("method", ["cancel", "stop"])
async def test_a_wait_can_be_ended_before_its_time(rpc: Rpc, service: Running, clock: Clock, method: str) -> None:
    task = await rpc.create(WAIT, params={"duration": {"hours": 1}})
    canceled = (await rpc.call(f"awf.task/{method}", id=task["id"])).result["resource"]
    assert (canceled["status"], canceled["outcome"]) == ("done", "canceled")
    again = (await rpc.call("awf.task/retry", id=task["id"])).result["resource"]
    assert (again["status"], again["retryCount"]) == ("in-progress", 1)
    assert at(again, "executeAt") - at(again, "lastUpdated") == timedelta(hours=1)
    await clock.advance(3600)
    service.reaper.poke()
    assert (await ended(rpc, task))["outcome"] == "succeeded"


async def test_no_executor_gets_a_wait(rpc: Rpc) -> None:
    task = await rpc.create(WAIT, params={"duration": {"hours": 1}})
    refused = await rpc.call("awf.task/poll", taskDefinitions=["test/task", WAIT])
    assert refused.error["data"]["errors"] == [
        {"path": "taskDefinitions", "message": f"{WAIT} is done by the server itself; executors cannot poll it"}
    ]
    stale = await rpc.call("awf.task/success", id=task["id"], execId="mine")
    assert stale.error["type"] == "stale-exec-id"


async def test_a_wait_begins_at_once_or_is_refused(rpc: Rpc) -> None:
    call = {"definition": WAIT, "params": {"duration": {"hours": 1}}}
    refused = await rpc.call("awf.task/create-and-execute", **call, executeAt="2100-01-01")
    assert refused.error["data"]["errors"][0]["path"] == "executeAt"
    wrong = await rpc.call("awf.task/create-and-execute", definition=WAIT, params={"duration": {"hours": "one"}})
    assert wrong.error["data"]["errors"][0]["path"] == "params.duration.hours"


async def test_only_what_does_not_touch_its_timing_can_be_put_about_a_wait(rpc: Rpc, service: Running) -> None:
    assert (await rpc.call("awf.definition/list")).result["resources"] == []
    put = (await rpc.call("awf.definition/put", id=WAIT, retention=1000)).result["resource"]
    assert put["retention"] == 1000
    assert (await rpc.call("awf.definition/list")).result["resources"] == [put]
    refused = await rpc.call("awf.definition/put", id=WAIT, concurrencyLimit=1)
    assert refused.error["data"]["errors"][0]["path"] == "concurrencyLimit"
    kept = await rpc.call("awf.definition/delete", id=WAIT)
    assert kept.error["data"]["errors"][0]["path"] == "id"


async def test_a_wait_goes_on_where_definitions_are_strict_and_drops_by_its_timeout(
    database_url: str, clock: Clock
) -> None:
    async with running_service(database_url, strict_definitions=True) as server, Rpc(server.url) as rpc:
        await rpc.call("awf.definition/put", id=WAIT, timeout=60_000)
        task = await rpc.create(WAIT, params={"duration": {"hours": 1}})
        await clock.advance(60)
        server.reaper.poke()
        assert (await ended(rpc, task))["outcomeReason"]["type"] == "awf.task/dropped"


_MANY_WAITS = """
insert into taskrpc.task (id, kind, name, rev, status, rank, ends_at, created_at, updated_at, params)
select 'wait-' || n, 'task', 'awf.task/wait', 0, 'in-progress', 0, now() + interval '1 day', now(), now(),
    '{"duration":{"hours":24}}'
from generate_series(1, 100000) n
"""
_CLAIM = """
explain (analyze, buffers, format json) select id from taskrpc.task
where kind = 'task' and name = 'test/task' and queued order by rank, ready_at, id limit 1 for update skip locked
"""


async def test_100_000_waits_do_not_slow_a_claim(rpc: Rpc, database_url: str) -> None:
    await rpc.create()
    async with connected(database_url) as database:
        await database.execute(_MANY_WAITS)
        await database.execute("vacuum analyze taskrpc.task")
        (explained,) = orjson.loads(await database.fetchval(_CLAIM))
    assert explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"] < 20
    assert len(await rpc.poll()) == 1
