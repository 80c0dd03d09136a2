"""Limits that change while tasks are open: from then on they hold, and nobody waits for a slot that is free."""

import asyncio
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store import recovery
from taskrpc.store.statements import SQL
from tests.databases import Clock, connected
from tests.engine.headless import Headless
from tests.store.test_limits import _reap
from tests.system.waiting import until

NAME: Final = "test/limited"


async def _put(server: Headless, **fields: Any) -> None:
    await server.call("awf.definition/put", id=NAME, **fields)


async def _poll(server: Headless, **params: Any) -> list[Any]:
    return await server.poll(NAME, maxBatchSize=100, **params)


@pytest.fixture
async def running(still: Headless) -> list[Any]:
    """Three of five tasks are in progress; there was no limit so far."""
    for _ in range(3):
        await still.create(NAME)
    tasks = await _poll(still, start=True)
    for _ in range(2):
        await still.create(NAME)
    return tasks


async def test_a_limit_that_is_added_counts_what_runs_already(
    still: Headless, running: list[Any], observer: asyncpg.Connection
) -> None:
    await _put(still, concurrencyLimit=3)
    assert await _poll(still) == []
    await still.of("success", running[0])
    assert len(await _poll(still)) == 1
    assert not await observer.fetch(SQL["gate_faults"])


async def test_below_a_lower_limit_nothing_is_handed_out(
    still: Headless, running: list[Any], observer: asyncpg.Connection
) -> None:
    await _put(still, concurrencyLimit=1)
    for task in running[:2]:
        await still.of("success", task)
        assert await _poll(still) == []
    await still.of("success", running[2])
    assert len(await _poll(still)) == 1
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_task_that_comes_back_gets_no_slot_above_a_lower_limit(
    still: Headless, running: list[Any], observer: asyncpg.Connection
) -> None:
    await _put(still, concurrencyLimit=2)
    await still.of("release", running[0])
    assert await _poll(still) == []
    await still.of("success", running[1])
    assert [task["id"] for task in await _poll(still)] == [running[0]["id"]]
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_task_that_was_not_started_in_time_gets_no_slot_above_a_lower_limit(
    still: Headless, observer: asyncpg.Connection, clock: Clock
) -> None:
    await _put(still, concurrencyLimit=2)
    for _ in range(3):
        await still.create(NAME)
    started, _ = await _poll(still)
    await still.of("start", started)
    await _put(still, concurrencyLimit=1)
    await clock.advance(10)
    await _reap(still)
    assert await _poll(still) == []
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_raised_limit_wakes_those_who_wait_on_all_servers(server: Headless, other: Headless) -> None:
    await _put(server, concurrencyLimit=1)
    for _ in range(3):
        await server.create(NAME)
    assert len(await _poll(server)) == 1
    polls = [asyncio.ensure_future(s.call("awf.task/long-poll", taskDefinitions=[NAME])) for s in (server, other)]
    await until(lambda: _all_wait(server, other))
    await _put(server, concurrencyLimit=3)
    async with asyncio.timeout(5):
        assert all([len((await poll)["resources"]) == 1 for poll in polls])


async def _all_wait(*servers: Headless) -> bool:
    return all(server.parts.dispatcher.waiting for server in servers)


@pytest.mark.parametrize("method", ["put", "delete"])
async def test_without_the_limit_everything_is_handed_out(
    still: Headless, observer: asyncpg.Connection, method: str
) -> None:
    await _put(still, concurrencyLimit=1, queueLimit=4)
    for _ in range(4):
        await still.create(NAME)
    assert len(await _poll(still)) == 1
    await still.call(f"awf.definition/{method}", id=NAME)
    assert len(await _poll(still)) == 3
    await still.create(NAME)
    assert await observer.fetchval("select count(*) from taskrpc.gate") == 0


async def test_a_queue_limit_that_is_added_counts_what_is_open(
    still: Headless, running: list[Any], observer: asyncpg.Connection
) -> None:
    await _put(still, queueLimit=5)
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await still.create(NAME)
    await still.of("success", running[0])
    await still.create(NAME)
    await _put(still, queueLimit=3)
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await still.create(NAME)
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_server_that_knows_the_former_limits_creates_under_the_new_ones(
    still: Headless, other: Headless, observer: asyncpg.Connection
) -> None:
    await still.parts.definitions.reload()
    await _put(other, concurrencyLimit=1, queueLimit=2)
    first, second = await still.create(NAME), await still.create(NAME)
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await still.create(NAME)
    assert [task["id"] for task in await _poll(still)] == [first["id"]]
    assert (await still.status(second))["status"] == "ready"
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_creation_waits_for_the_change_of_limits_that_is_under_way(
    still: Headless, observer: asyncpg.Connection
) -> None:
    async with observer.transaction():
        await observer.execute(SQL["lock_tasks"])
        creating = asyncio.ensure_future(still.create(NAME))
        await until(lambda: observer.fetchval("select count(*) from pg_locks where not granted"))
        await observer.execute(
            "insert into taskrpc.definition (name, spec, queue_limit, created_at) "
            """values ($1, '{"queueLimit":0}', 0, now())""",
            NAME,
        )
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await creating


async def _canceled(server: Headless, count: int) -> list[Any]:
    tasks = [await server.create(NAME) for _ in range(count)]
    for task in tasks:
        await server.call("awf.task/cancel", id=task["id"])
    return tasks


async def _retry(server: Headless, task: Any) -> Any:
    return (await server.call("awf.task/retry", id=task["id"]))["resource"]


async def test_done_tasks_are_tried_again_under_the_limits_of_now(
    still: Headless, observer: asyncpg.Connection
) -> None:
    tasks = await _canceled(still, 4)
    await _put(still, concurrencyLimit=1, queueLimit=3)
    for task in tasks[:3]:
        assert (await _retry(still, task))["status"] == "ready"
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await _retry(still, tasks[3])
    assert [task["id"] for task in await _poll(still)] == [tasks[0]["id"]]
    await still.call("awf.task/cancel", id=tasks[0]["id"])
    assert [task["id"] for task in await _poll(still)] == [tasks[1]["id"]]
    assert not await observer.fetch(SQL["gate_faults"])


async def test_done_tasks_of_a_limited_definition_are_free_when_it_is_not_any_more(
    still: Headless, observer: asyncpg.Connection
) -> None:
    await _put(still, concurrencyLimit=1, queueLimit=3)
    tasks = await _canceled(still, 3)
    await _put(still)
    await asyncio.gather(*(_retry(still, task) for task in tasks))
    assert len(await _poll(still)) == 3
    assert await observer.fetchval("select count(*) from taskrpc.gate") == 0


async def test_retries_at_once_on_two_servers_do_not_exceed_the_queue(
    still: Headless, other: Headless, observer: asyncpg.Connection
) -> None:
    tasks = await _canceled(still, 20)
    await _put(still, queueLimit=7)
    answers = await asyncio.gather(
        *(_retry(server, task) for task, server in zip(tasks, [still, other] * 10, strict=True)), return_exceptions=True
    )
    assert sum(isinstance(answer, dict) for answer in answers) == 7
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_retry_whose_task_was_locked_when_the_gates_were_opened_is_counted_too(
    still: Headless, observer: asyncpg.Connection, database_url: str
) -> None:
    free, locked, _ = await _canceled(still, 3)
    await _put(still, queueLimit=1)
    other_open = await still.create(NAME)
    await still.call("awf.task/cancel", id=other_open["id"])
    async with connected(database_url) as second:
        holding_gate, holding_task = observer.transaction(), second.transaction()
        await holding_gate.start()
        await observer.execute("select from taskrpc.gate for update")
        await holding_task.start()
        await second.execute("select from taskrpc.task where id = $1 for update", locked["id"])
        retries = [asyncio.ensure_future(_retry(still, task)) for task in (free, locked)]
        await until(lambda: second.fetchval("select count(*) from pg_locks where not granted"))
        await holding_task.rollback()
        await holding_gate.rollback()
        answers = await asyncio.gather(*retries, return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert not await observer.fetch(SQL["gate_faults"])


async def test_a_transaction_that_is_in_the_way_of_new_limits_keeps_nobody_else_waiting(
    still: Headless, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 3.0)
    async with observer.transaction():
        await observer.execute("lock table taskrpc.task in row exclusive mode")
        putting = asyncio.ensure_future(_put(still, concurrencyLimit=1))
        while not putting.done():
            async with asyncio.timeout(2.5):
                await still.create(NAME)
        with pytest.raises(TaskRpcError, match="unavailable"):
            await putting
    await _put(still, concurrencyLimit=1)
    assert len(await _poll(still)) == 1
