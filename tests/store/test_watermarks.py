"""Claims begin where they found something the last time: they stay fast under an old snapshot, and pass no task by."""

import asyncio
import random
from typing import Any

import asyncpg
import orjson
import pytest

from taskrpc.bench.messages import DEFINITION
from taskrpc.core.watermarks import Watermarks
from taskrpc.store.creations import NewTask, task_arrays
from taskrpc.store.reaping import Reaping
from taskrpc.store.statements import SQL
from tests.bench import statements
from tests.databases import Clock, connected
from tests.engine.headless import Headless
from tests.services import until

NAME = "test/task"
HANDED_OUT = 3000
PAGES = 150  # that so many rows take at least


async def _create(server: Headless, *ids: str, **params: Any) -> None:
    for task_id in ids:
        await server.create(NAME, id=task_id, **params)


async def _ids(server: Headless, **params: Any) -> list[str]:
    return [task["id"] for task in await server.poll(NAME, **params)]


@pytest.fixture
async def claimed(still: Headless, clock: Clock) -> dict[str, Any]:
    """Tasks by their ids that the server has handed out; the last became due a minute after the others."""
    await still.call("awf.definition/put", id=NAME, requestedToStartTimeout=86_400_000, retryDelay=1000)
    await _create(still, "a", "b", "c")
    await clock.advance(60)
    await _create(still, "last")
    await clock.advance(60)
    return {task["id"]: task for task in await still.poll(NAME, maxBatchSize=4)}


async def _late(still: Headless, clock: Clock, url: str) -> asyncpg.Connection:
    """A transaction that has created the task "late" two minutes ago and is still open."""
    connection = await asyncpg.connect(url)
    task = NewTask("late", NAME, still.parts.definitions.of_task(NAME).rev, "call", 0, None)
    await connection.execute("begin")
    await connection.fetch(SQL["create"], *task_arrays([task]))
    await clock.advance(120)
    return connection


async def _commit(connection: asyncpg.Connection) -> None:
    await connection.execute("commit")
    await connection.close()


async def _buffers(connection: asyncpg.Connection, marks: Watermarks) -> int:
    """How many pages a claim looks at; it is undone."""
    parts = [list(column) for column in zip(*marks.parts([("task", DEFINITION)], 0), strict=True)]
    transaction = connection.transaction()
    await transaction.start()
    try:
        explain = f"explain (analyze, buffers, format json) {SQL['claim']}"
        text = await connection.fetchval(explain, *parts, 1, 2**25, False, "claim", False)
    finally:
        await transaction.rollback()
    plan = orjson.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_under_an_old_snapshot_a_claim_looks_at_few_pages(
    still: Headless, observer: asyncpg.Connection, clock: Clock, database_url: str
) -> None:
    marks = Watermarks()
    async with connected(database_url) as old, old.transaction(isolation="repeatable_read", readonly=True):
        await old.fetchval("select count(*) from taskrpc.task")
        await observer.fetch(*statements.create([statements.params_text(300)] * HANDED_OUT))
        await clock.advance(60)
        rows: list[Any] = await observer.fetch(*statements.claim(HANDED_OUT))
        marks.learn(rows, marks.epoch, 0, 0)
        await observer.fetch(*statements.create([statements.params_text(300)]))
        await clock.advance(60)
        without, with_marks = await _buffers(observer, Watermarks()), await _buffers(observer, marks)
        assert without > PAGES
        assert with_marks < PAGES / 3


async def test_a_task_that_is_handed_back_to_another_server_has_its_old_place(
    still: Headless, other: Headless, claimed: dict[str, Any]
) -> None:
    await _create(still, "new")
    await other.of("release", claimed["b"])
    assert await _ids(still) == ["b"]
    assert await _ids(still) == ["new"]


async def test_a_task_that_was_due_before_is_found_when_it_becomes_ready(
    still: Headless, claimed: dict[str, Any], clock: Clock
) -> None:
    await still.of("start", claimed["a"])
    await still.of("fail", claimed["a"])
    await clock.advance(60)
    await _create(still, "new", "newer")
    await clock.advance(60)
    assert await _ids(still) == ["new"]
    await Reaping(still.parts.database, still.parts.signals).reap()
    assert await _ids(still, maxBatchSize=2) == ["a", "newer"]


async def test_a_task_that_is_admitted_has_the_place_of_its_creation(
    still: Headless, other: Headless, claimed: dict[str, Any], clock: Clock
) -> None:
    await still.call("awf.definition/put", id="limited", concurrencyLimit=2)
    await other.parts.definitions.reload()
    for task_id in ("l1", "l2", "l3", "l4"):
        await still.create("limited", id=task_id)
    await clock.advance(60)
    first = await still.poll("limited", maxBatchSize=2)
    await other.of("start", first[0])
    await other.of("success", first[0])
    assert [task["id"] for task in await still.poll("limited", maxBatchSize=2)] == ["l3"]


async def test_a_task_that_no_limit_holds_any_more_has_the_place_of_its_creation(
    still: Headless, other: Headless, clock: Clock
) -> None:
    await still.call("awf.definition/put", id=NAME, concurrencyLimit=1, concurrencyPath=["params", "key"])
    await _create(still, "a1", "a2", params={"key": "a"})
    await clock.advance(60)
    await _create(still, "b1", params={"key": "b"})
    await clock.advance(60)
    assert await _ids(still, maxBatchSize=3) == ["a1", "b1"]
    await other.call("awf.definition/put", id=NAME)
    await _create(still, "new")
    assert [await _ids(still), await _ids(still)] == [["a2"], ["new"]]


async def test_a_task_of_higher_priority_comes_first_whatever_was_handed_out_before(
    still: Headless, other: Headless, claimed: dict[str, Any]
) -> None:
    await _create(still, "usual")
    await other.parts.definitions.reload()
    await _create(other, "high", priority=5)
    await _create(other, "low", priority=-5)
    assert [await _ids(still) for _ in range(4)] == [["high"], ["usual"], ["low"], []]


async def test_tasks_that_are_taken_back_or_tried_anew_are_ready_at_once(
    still: Headless, claimed: dict[str, Any], clock: Clock
) -> None:
    await still.call("awf.task/cancel", id="c")
    await clock.advance(86_400)
    await Reaping(still.parts.database, still.parts.signals).reap()
    await still.call("awf.task/retry", id="c")
    assert await _ids(still, maxBatchSize=4) == ["a", "b", "last", "c"]


async def test_a_poll_finds_what_was_committed_late(
    still: Headless, claimed: dict[str, Any], clock: Clock, database_url: str
) -> None:
    late = await _late(still, clock, database_url)
    await _create(still, "new")
    await clock.advance(60)
    assert await _ids(still) == ["new"]
    await _commit(late)
    assert await _ids(still) == ["late"]


async def test_a_waiting_poll_gets_what_was_committed_late(server: Headless, clock: Clock, database_url: str) -> None:
    late = await _late(server, clock, database_url)
    await _create(server, "new")
    await clock.advance(60)
    assert await _ids(server) == ["new"]
    poll = asyncio.ensure_future(server.call("awf.task/long-poll", taskDefinitions=[NAME]))
    await until(lambda: server.parts.dispatcher.waiting == 1)
    await _commit(late)
    assert [task["id"] for task in (await poll)["resources"]] == ["late"]


async def test_what_was_committed_late_is_not_passed_by_for_long_while_others_come(
    still: Headless, claimed: dict[str, Any], clock: Clock, database_url: str
) -> None:
    late = await _late(still, clock, database_url)
    await _create(still, "new", "newer")
    await clock.advance(60)
    assert await _ids(still) == ["new"]
    await _commit(late)
    found: list[str] = []
    async with asyncio.timeout(10):
        while "late" not in found:
            await still.create(NAME)
            found += await _ids(still)
    assert await _ids(still, maxBatchSize=1000) != []


async def _work(server: Headless, chance: random.Random, done: set[str]) -> None:
    """An executor that hands back or fails now and then what it was given."""
    while True:
        polled = await server.call("awf.task/long-poll", taskDefinitions=[NAME], maxBatchSize=3, start=True)
        for task in polled["resources"]:
            fate = chance.random()
            if fate < 0.2:
                await server.of("release", task)
            elif fate < 0.3:
                await server.of("fail", task)
            else:
                await server.of("success", task)
                done.add(task["id"])


async def test_two_servers_hand_out_everything_however_it_comes_back(
    server: Headless, other: Headless, clock: Clock, database_url: str
) -> None:
    await server.call("awf.definition/put", id=NAME, allowedRetryCount=1000, retryDelay=20)
    await other.parts.definitions.reload()
    chance, done = random.Random(7), set[str]()
    late = await _late(server, clock, database_url)
    async with connected(database_url) as old, old.transaction(isolation="repeatable_read", readonly=True):
        await old.fetchval("select count(*) from taskrpc.task")
        workers = [asyncio.ensure_future(_work(one, chance, done)) for one in (server, other) * 4]
        created = {"late"}
        for n in range(300):
            task = await chance.choice([server, other]).create(
                NAME, id=f"t{n}", priority=chance.choice([0, 0, 0, 1, 9])
            )
            created.add(task["id"])
            if n % 50 == 0:
                await clock.advance(30)
        await _commit(late)
        await until(lambda: done == created, 30)
        for worker in workers:
            assert not worker.done(), worker.exception()
            worker.cancel()
        await asyncio.wait(workers)
