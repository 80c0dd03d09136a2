"""Clean-ups on several servers: where one dies another goes on, and the count stays exact."""

import asyncio
from typing import Any

import asyncpg
import pytest

from taskrpc.core.built_in import CLEAN_UP, CleanUp
from taskrpc.store.retention import FIRST, MOST_ROWS, Retention
from tests.databases import Clock, connected
from tests.engine.headless import Headless, headless
from tests.system.waiting import until

TASKS = 5 * MOST_ROWS + 7
FILL = """
insert into taskrpc.task (id, kind, name, rev, status, outcome, rank, created_at, updated_at)
select 'done-' || n, 'task', 'test/task', 0, 'done', 'succeeded', 0, at, at
from generate_series(1, $1::int) n cross join lateral (select taskrpc.now() - interval '1 day' as at) t
"""
EVERYTHING: Any = {"rules": [{"retentionPolicy": {"unit": "hour", "value": 1}}]}
RULE = CleanUp.model_validate(EVERYTHING).rules[0]


async def filled(database_url: str) -> None:
    """Puts done tasks into the database, all created at one time."""
    async with connected(database_url) as connection:
        await connection.execute(FILL, TASKS)


async def left(connection: asyncpg.Connection) -> int:
    count: int = await connection.fetchval("select count(*) from taskrpc.task where name = 'test/task'")
    return count


async def result(server: Headless, clean_up: Any) -> Any:
    resource = (await server.call("awf.task/result", id=clean_up["id"], timeout=20_000))["resource"]
    assert resource["status"] == "done", resource
    return resource


async def test_a_clean_up_deletes_in_slices_and_shows_how_far_it_is(server: Headless, database_url: str) -> None:
    await filled(database_url)
    clean_up = await server.create(CLEAN_UP, params=EVERYTHING)
    done = await result(server, clean_up)
    assert done["result"]["deletedRowsCount"]["AidboxTask"] == TASKS
    assert done["progress"] == {"current": TASKS, "unit": "rows"}


async def test_another_server_goes_on_when_one_died_and_the_count_is_exact(database_url: str, clock: Clock) -> None:
    await filled(database_url)
    async with headless(database_url, loops=False) as dead, connected(database_url) as observer:
        retention, row = Retention(dead.parts.database), await claimed_on(dead)
        since = await retention.old_enough(RULE)
        page = await retention.clean_up(row["id"], row["exec_id"], since, RULE, FIRST)
        assert page is not None
        assert await left(observer) == TASKS - MOST_ROWS
        async with headless(database_url) as server:
            await clock.advance(15)
            server.parts.reaper.poke()

            async def waits_for_its_retry() -> bool:
                return bool((await server.status(row))["status"] == "waiting")

            await until(waits_for_its_retry)
            assert await retention.clean_up(row["id"], row["exec_id"], since, RULE, FIRST) is None
            await clock.advance(1)
            server.parts.reaper.poke()
            done = await result(server, row)
        assert (done["retryCount"], await left(observer)) == (2, 0)
        assert done["result"]["deletedRowsCount"]["AidboxTask"] == TASKS


async def test_a_server_that_stops_hands_its_clean_up_to_another(database_url: str) -> None:
    await filled(database_url)
    async with connected(database_url) as observer:
        async with headless(database_url) as stopping:
            clean_up = await stopping.create(CLEAN_UP, params=EVERYTHING)

            async def begun() -> bool:
                return await left(observer) < TASKS

            await until(begun)
        async with headless(database_url) as server:
            done = await result(server, clean_up)
        assert done["result"]["deletedRowsCount"]["AidboxTask"] == TASKS


async def claimed_on(server: Headless) -> Any:
    """A clean-up that a server without loops has claimed."""
    await server.create(CLEAN_UP, params=EVERYTHING)
    (row,), _ = await server.parts.cleaning._claims.claim([("task", CLEAN_UP)], 1, start=True, thorough=True)
    return row


@pytest.mark.parametrize("method", ["cancel", "stop"])
async def test_a_clean_up_that_somebody_ends_deletes_nothing_more(database_url: str, method: str) -> None:
    await filled(database_url)
    async with headless(database_url, loops=False) as server, connected(database_url) as observer:
        row = await claimed_on(server)
        await server.call(f"awf.task/{method}", id=row["id"])
        await server.parts.cleaning._execute(row)
        assert await left(observer) == TASKS
        resource = await server.status(row)
        assert (resource["status"], resource["outcome"]) == ("done", "canceled")


async def test_a_clean_up_waits_while_somebody_has_locked_its_row(database_url: str) -> None:
    await filled(database_url)
    async with headless(database_url, loops=False) as server, connected(database_url) as holder:
        row = await claimed_on(server)
        async with holder.transaction():
            await holder.execute("select from taskrpc.task where id = $1 for update", row["id"])
            working = asyncio.ensure_future(server.parts.cleaning._execute(row))
            done, _ = await asyncio.wait([working], timeout=0.05)
            assert not done
        await working
        assert await left(holder) == 0


async def test_open_tasks_and_tasks_that_are_locked_do_not_hold_up_a_clean_up(
    server: Headless, database_url: str
) -> None:
    await filled(database_url)
    async with connected(database_url) as holder, holder.transaction():
        await holder.execute("select from taskrpc.task where id in ('done-1', 'done-2') for update")
        done = await result(server, await server.create(CLEAN_UP, params=EVERYTHING))
        assert done["result"]["deletedRowsCount"]["AidboxTask"] == TASKS - 2
