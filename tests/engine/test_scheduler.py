"""Three servers and one schedule: each tick is judged once, whoever comes first."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import Clock, connected
from tests.engine.headless import Headless, headless
from tests.system.waiting import until

EVERY_MINUTE: Any = {
    "id": "rule",
    "schedule": "* * * * *",
    "concurrency-policy": "allow",
    "task-request": {"definition": "test/task"},
}


@pytest.fixture
async def servers(database_url: str) -> AsyncIterator[list[Headless]]:
    """Three servers on this test's database."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(headless(database_url)) for _ in range(3)]


async def fired(observer: asyncpg.Connection) -> list[str]:
    """The minutes of the ticks that have started something, one for each task."""
    rows = await observer.fetch("select requester ->> 'tick' as tick from taskrpc.task order by 1")
    return [row["tick"][11:16] for row in rows]


async def go_on(servers: list[Headless], clock: Clock, time: str) -> None:
    await clock.move_to(time)
    for server in servers:
        server.parts.scheduler.poke()


async def judged(server: Headless, next_tick: str) -> None:
    async def there() -> bool:
        rule = (await server.call("awf.scheduler/get", id="rule"))["resource"]
        return bool(rule["next-tick"] == next_tick)

    await until(there)


async def test_each_tick_fires_once_however_many_servers_run(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE)
    for minute in range(10):
        await go_on(servers, clock, f"2027-01-31T09:{minute:02}:01")
        await judged(servers[1], f"2027-01-31T09:{minute + 1:02}:00.000000Z")
    assert await fired(observer) == [f"09:{minute:02}" for minute in range(10)]


async def test_a_burst_of_missed_ticks_fires_once_each_on_three_servers(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE, **{"start-deadline-seconds": 3600})
    await go_on(servers, clock, "2027-01-31T09:39:30")
    await judged(servers[2], "2027-01-31T09:40:00.000000Z")
    assert await fired(observer) == [f"09:{minute:02}" for minute in range(40)]


async def test_of_a_burst_of_missed_ticks_only_the_first_fires_where_a_second_is_forbidden(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    rule = {**EVERY_MINUTE, "concurrency-policy": "forbid", "start-deadline-seconds": 3600}
    await servers[0].call("awf.scheduler/put", **rule)
    await go_on(servers, clock, "2027-01-31T09:39:30")
    await judged(servers[2], "2027-01-31T09:40:00.000000Z")
    assert await fired(observer) == ["09:00"]


async def test_a_task_of_a_limited_definition_is_held_like_any_other(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection
) -> None:
    await servers[0].call("awf.definition/put", id="test/task", concurrencyLimit=1, queueLimit=3)
    await clock.move_to("2027-01-31T08:59:58")
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE, **{"start-deadline-seconds": 3600})
    await go_on(servers, clock, "2027-01-31T09:04:30")
    await judged(servers[1], "2027-01-31T09:05:00.000000Z")
    assert await fired(observer) == ["09:00", "09:01", "09:02"]
    assert len(await servers[2].poll(maxBatchSize=10)) == 1


async def test_a_tick_waits_for_a_transaction_that_holds_its_rule_and_others_go_on(
    servers: list[Headless], clock: Clock, database_url: str, observer: asyncpg.Connection
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    for id in ("rule", "locked"):
        await servers[0].call("awf.scheduler/put", **{**EVERY_MINUTE, "id": id})
    async with connected(database_url) as holder:
        async with holder.transaction():
            await holder.execute("select from taskrpc.scheduler_rule where id = 'locked' for update")
            await go_on(servers, clock, "2027-01-31T09:00:01")
            await judged(servers[0], "2027-01-31T09:01:00.000000Z")
            assert await fired(observer) == ["09:00"]

        async def both() -> bool:
            return await fired(observer) == ["09:00", "09:00"]

        await until(both)


async def test_a_rule_that_cannot_be_judged_holds_up_no_others(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    await observer.execute(
        "insert into taskrpc.scheduler_rule (id, spec, created_at, updated_at, next_at) select 'broken-' || n, "
        """'{"schedule": "* * * * *", "timezone": "Europe/Nowhere", "task-request": {"definition": "x"}}', """
        "taskrpc.now(), taskrpc.now(), taskrpc.now() from generate_series(1, 120) n"
    )
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE)
    await go_on(servers, clock, "2027-01-31T09:00:01")
    await judged(servers[0], "2027-01-31T09:01:00.000000Z")
    assert await fired(observer) == ["09:00"]
    assert "could not be judged; the others go on" in caplog.text


async def test_runs_of_one_call_on_three_servers_start_one_task(
    servers: list[Headless], observer: asyncpg.Connection
) -> None:
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE)
    answers = await asyncio.gather(
        *(server.call("awf.scheduler/run", id="rule", callId="c-1") for server in servers * 5)
    )
    assert len({answer["resource"]["id"] for answer in answers}) == 1
    assert await observer.fetchval("select count(*) from taskrpc.task") == 1


async def test_of_many_runs_of_a_rule_that_forbids_it_one_starts_a_task(
    servers: list[Headless], observer: asyncpg.Connection
) -> None:
    await servers[0].call("awf.scheduler/put", **{**EVERY_MINUTE, "concurrency-policy": "forbid"})
    answers = await asyncio.gather(
        *(server.call("awf.scheduler/run", id="rule") for server in servers * 5), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, TaskRpcError)]
    assert [refusal.type for refusal in refused] == ["wrong-status"] * 14
    assert await observer.fetchval("select count(*) from taskrpc.task") == 1


async def test_a_rule_knows_a_definition_that_another_server_has_just_put(
    servers: list[Headless], clock: Clock, observer: asyncpg.Connection
) -> None:
    await clock.move_to("2027-01-31T08:59:58")
    await servers[0].call("awf.scheduler/put", **EVERY_MINUTE)
    await servers[1].call("awf.definition/put", id="test/task", priority=7)
    await go_on(servers, clock, "2027-01-31T09:00:01")
    await judged(servers[0], "2027-01-31T09:01:00.000000Z")
    assert await observer.fetchval("select rank from taskrpc.task") == -7
