"""Rows that somebody else has locked: they are never waited for, never missed, and hold up nobody else."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store import batcher, recovery
from taskrpc.store.reaping import Reaping
from tests.databases import Clock
from tests.engine.headless import Headless
from tests.system.waiting import until

Prepare = Callable[[Headless, str], Awaitable[Any]]


async def _requested(server: Headless, name: str) -> Any:
    await server.create(name)
    (task,) = await server.poll(name)
    return task


async def _running(server: Headless, name: str) -> Any:
    return await server.started(name)


async def _canceled(server: Headless, name: str) -> Any:
    task = await server.create(name)
    return (await server.call("awf.task/cancel", id=task["id"]))["resource"]


@pytest.mark.parametrize("limits", [{}, {"concurrencyLimit": 5, "queueLimit": 5}], ids=["free", "limited"])
@pytest.mark.parametrize(
    ("method", "prepare", "params", "after"),
    [
        ("start", _requested, {}, "in-progress"),
        ("notify", _running, {"notification": "heartbeat"}, "in-progress"),
        ("feedback", _running, {"feedback": 1}, "in-progress"),
        ("success", _running, {}, "done"),
        ("fail", _running, {}, "waiting"),
        ("release", _running, {}, "ready"),
        ("cancel", _running, {}, "done"),
        ("stop", _running, {}, "in-progress"),
        ("retry", _canceled, {}, "ready"),
    ],
)
async def test_a_call_about_a_locked_task_waits_and_its_neighbours_do_not(
    still: Headless, observer: asyncpg.Connection, method: str, prepare: Prepare, params: Any, after: str, limits: Any
) -> None:
    for name in ("one", "two"):
        await still.call("awf.definition/put", id=name, **limits)
    locked, free = await prepare(still, "one"), await prepare(still, "two")

    def call(task: Any) -> "asyncio.Future[Any]":
        execution = {"execId": task["execId"]} if method not in ("cancel", "stop", "retry") else {}
        return asyncio.ensure_future(still.call(f"awf.task/{method}", id=task["id"], **execution, **params))

    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", locked["id"])
        waiting = call(locked)
        async with asyncio.timeout(batcher.LOCK_PATIENCE_SECONDS / 2):
            await call(free)
            await call(free) if method == "notify" else None  # the next flush is not held up either
        assert not waiting.done()
    async with asyncio.timeout(batcher.LOCK_PATIENCE_SECONDS / 2):
        await waiting
    assert (await still.status(locked))["status"] == (await still.status(free))["status"] == after


async def test_a_call_about_a_task_that_stays_locked_is_refused_and_does_nothing(
    still: Headless, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "LOCK_PATIENCE_SECONDS", 0.1)
    task = await still.started()
    async with observer.transaction():
        await observer.execute("select from taskrpc.task for update")
        with pytest.raises(TaskRpcError, match=f"unavailable: Task {task['id']} is locked by another transaction"):
            await still.of("success", task)
    assert (await still.status(task))["status"] == "in-progress"
    await still.of("success", task)


async def test_a_claim_passes_over_locked_tasks_and_they_are_claimed_when_they_are_free(
    still: Headless, observer: asyncpg.Connection
) -> None:
    first, second = await still.create(), await still.create()
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", first["id"])
        assert [task["id"] for task in await still.poll(maxBatchSize=10)] == [second["id"]]
        waiting = asyncio.ensure_future(still.call("awf.task/long-poll", taskDefinitions=["test/task"]))
        await until(lambda: _waits(still))
    async with asyncio.timeout(batcher.LOCK_PATIENCE_SECONDS / 2):
        assert [task["id"] for task in (await waiting)["resources"]] == [first["id"]]


async def _waits(server: Headless) -> bool:
    return bool(server.parts.dispatcher.waiting)


async def test_the_reaper_passes_over_locked_tasks(still: Headless, observer: asyncpg.Connection, clock: Clock) -> None:
    locked, free = await _running(still, "one"), await _running(still, "two")
    await clock.advance(1000)
    reaping = Reaping(still.parts.database, still.parts.signals)
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", locked["id"])
        assert await reaping.reap() == 1
    assert [(await still.status(task))["status"] for task in (locked, free)] == ["in-progress", "waiting"]
    await reaping.reap()
    assert (await still.status(locked))["status"] == "waiting"


async def test_a_row_that_changes_between_being_read_and_being_locked_is_not_missed(
    still: Headless, observer: asyncpg.Connection
) -> None:
    """The row has moved (another ctid), and still gets its change, on top of the other one."""
    task = await still.started()
    await observer.execute(
        """
        create or replace function taskrpc.retry_delay(delay double precision, factor double precision,
            most double precision, jitter double precision, attempts integer) returns interval language plpgsql volatile
        as $$ begin perform pg_advisory_xact_lock(7); return interval '1 s'; end $$;
        select pg_advisory_lock(7)
        """
    )
    failing = asyncio.ensure_future(still.of("fail", task))
    await until(lambda: observer.fetchval("select count(*) from pg_locks where not granted"))
    await observer.execute("update taskrpc.task set version = version + 10, label = 'moved'")
    await observer.execute("select pg_advisory_unlock(7)")
    assert (await failing)["status"] == "waiting"
    seen = await still.status(task)
    assert (seen["label"], seen["status"]) == ("moved", "waiting")
    assert int(seen["meta"]["versionId"]) == int(task["meta"]["versionId"]) + 11


async def test_elements_in_opposite_orders_from_two_servers_wait_for_nobody(
    still: Headless, other: Headless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "CONFLICTS", ())  # a deadlock is a failure here, not a reason to try again
    await still.call("awf.definition/put", id="limited", concurrencyLimit=1000, concurrencyPath=["params", "key"])
    await other.parts.definitions.reload()
    for n in range(60):
        await still.create("limited" if n % 2 else "test/task", params={"key": n % 7})
    tasks = await still.poll("limited", "test/task", maxBatchSize=100, start=True)
    chance = random.Random(5)

    async def all_of(calls: list[Awaitable[Any]]) -> None:
        for answer in await asyncio.gather(*calls, return_exceptions=True):  # others may have been first
            if isinstance(answer, BaseException):
                assert getattr(answer, "type", answer) in ("wrong-status", "stale-exec-id", "task-has-been-done")

    async def client(server: Headless, order: list[Any]) -> None:
        for round_ in range(4):
            stops = [server.call("awf.task/stop", id=task["id"]) for task in chance.sample(order, 20)]
            await all_of([*(server.of("feedback", task, feedback=round_, append=True) for task in order), *stops])
        await all_of([server.of(chance.choice(["success", "fail", "release"]), task) for task in order])

    async with asyncio.timeout(30):
        await asyncio.gather(*(client(s, o) for s, o in ((still, tasks), (other, tasks[::-1])) * 2))


async def test_creations_of_the_same_ids_in_opposite_orders_wait_in_no_ring(
    still: Headless, other: Headless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "CONFLICTS", ())
    await still.call("awf.definition/put", id="limited", concurrencyLimit=3, queueLimit=1000)
    await other.parts.definitions.reload()
    for name in ("test/task", "limited"):
        for round_ in range(5):
            ids = [f"{name[0]}-{round_}-{n}" for n in range(50)]
            creations = [s.create(name, id=i) for s, order in ((still, ids), (other, ids[::-1])) for i in order]
            answers = await asyncio.gather(*creations, return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, TaskRpcError)]
            assert [error.type for error in refused] == ["task-already-exists"] * 50


async def test_calls_about_one_task_that_come_at_once_are_all_carried_out(
    still: Headless, observer: asyncpg.Connection
) -> None:
    task = await still.started()
    await asyncio.gather(*(still.of("feedback", task, feedback=n, append=True) for n in range(20)))
    assert (await still.status(task))["feedback"] == list(range(20))
    assert await observer.fetchval("select count(*) from taskrpc.log where action = 'awf.task/feedback'") == 20
