"""A caller that hangs up loses no task, whenever it does."""

import asyncio
from typing import Any, Final

import pytest

from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.postgres import commits_held
from tests.system.processes import ServerProcess
from tests.system.waiting import Stopwatch, promised
from tests.system.wire import Wire, connection, connections

POLL: Final = {"taskDefinitions": ["test/task"], "timeout": 60_000}
AT_ONCE_SECONDS: Final = promised(2.0)  # much less than the requestedToStartTimeout of 10 s
DEAD_POLLS: Final = 1000
TASKS: Final = 200


async def _create(server: ServerProcess, count: int = 1) -> list[str]:
    async with connection(server.url) as wire:
        call = {"method": "awf.task/create-and-execute", "params": {"definition": "test/task"}}
        return [answer["result"]["resource"]["id"] for answer in await wire.batch(*[call] * count)]


async def _polled(wire: Wire) -> list[Any]:
    tasks: list[Any] = (await wire.receive()).result["resources"]
    return tasks


@pytest.mark.parametrize("start", [False, True], ids=["requested", "started"])
async def test_a_task_that_was_claimed_for_a_caller_who_hung_up_is_ready_again_at_once(
    database_url: str, serve: Serve, start: bool
) -> None:
    server, other = await asyncio.gather(serve(database_url), serve(database_url))
    (task_id,) = await _create(server)
    async with connection(server.url) as leaving, connection(other.url) as staying:
        async with commits_held(database_url) as commits:
            leaving.send("awf.task/long-poll", start=start, **POLL)
            await commits.reached()  # the task is claimed, and not yet answered
            staying.send("awf.task/long-poll", **POLL)
            await other.waiting(polls=1)
            leaving.hang_up()
            await server.waiting(polls=0)
        watch = Stopwatch()
        (task,) = await _polled(staying)
        assert watch.seconds < AT_ONCE_SECONDS
    assert task["id"] == task_id
    assert "retryCount" not in task
    assert await _actions(database_url) == ["create-and-execute", "poll", "release", "poll"]


async def _actions(database_url: str) -> list[str]:
    async with connected(database_url) as database:
        log = await database.fetch("select action from taskrpc.log order by seq")
    return [entry["action"].removeprefix("awf.task/") for entry in log]


async def test_a_claimed_task_goes_to_the_next_in_line_when_the_first_hung_up(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    (task_id,) = await _create(server)
    async with connection(server.url) as leaving, connection(server.url) as staying:
        async with commits_held(database_url) as commits:
            leaving.send("awf.task/long-poll", **POLL)
            await commits.reached()
            staying.send("awf.task/long-poll", **POLL)
            await server.waiting(polls=2)
            leaving.hang_up()
            await server.waiting(polls=1)
        (task,) = await _polled(staying)
    assert task["id"] == task_id
    assert await _actions(database_url) == ["create-and-execute", "poll"]


async def test_a_success_whose_caller_hung_up_is_kept_and_its_poll_takes_no_task(
    database_url: str, serve: Serve
) -> None:
    server = await serve(database_url)
    await _create(server)
    async with connection(server.url) as leaving, connection(server.url) as staying:
        (running,) = (await leaving.call("awf.task/poll", start=True, **POLL)).result["resources"]
        leaving.send("awf.task/success", id=running["id"], execId=running["execId"], poll=POLL)
        await server.waiting(polls=1)
        leaving.hang_up()
        await server.waiting(polls=0)
        ended = (await staying.call("awf.task/status", id=running["id"])).result["resource"]
        created = await _create(server)
        tasks = (await staying.call("awf.task/poll", **POLL)).result["resources"]
    assert (ended["status"], ended["outcome"]) == ("done", "succeeded")
    assert [task["id"] for task in tasks] == created


async def test_a_thousand_dead_polls_take_no_task(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connections(server.url, DEAD_POLLS) as callers:
        for caller in callers:
            caller.send("awf.task/long-poll", **POLL)
        await server.waiting(polls=DEAD_POLLS)
        for caller in callers[::2]:
            caller.hang_up()
        await asyncio.gather(*(caller.close() for caller in callers[1::2]))
        created = await _create(server, TASKS)
        async with connection(server.url) as alive:
            watch = Stopwatch()
            polled: list[str] = []
            while len(polled) < TASKS:
                reply = await alive.call("awf.task/long-poll", maxBatchSize=TASKS, **POLL)
                polled += [task["id"] for task in reply.result["resources"]]
            assert watch.seconds < AT_ONCE_SECONDS
    assert sorted(polled) == sorted(created)
