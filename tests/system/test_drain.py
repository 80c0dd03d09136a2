"""Servers end, in order and otherwise, and others go on."""

import asyncio
import contextlib
import signal
from typing import Any, Final

from tests.databases import connected
from tests.services import running_service, until
from tests.system.conftest import Serve
from tests.system.postgres import Postgres, commits_held, tables_locked
from tests.system.waiting import Stopwatch, promised
from tests.system.wire import connection, connections

POLLS: Final = 500
DRAIN_SECONDS: Final = promised(1.5)
READERS: Final = 3  # of the locked tasks: the list, its total, and the reaper
POLL: Final = {"taskDefinitions": ["test/task"], "timeout": 60_000}


async def test_a_server_that_drains_answers_all_waiting_polls_and_exits(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connections(server.url, POLLS) as callers:
        for caller in callers:
            caller.send("awf.task/long-poll", **POLL)
        await server.waiting(polls=POLLS)
        watch = Stopwatch()
        server.signal(signal.SIGTERM)
        replies = await asyncio.gather(*(caller.receive() for caller in callers))
        status = await server.ended()
        seconds = watch.seconds
    assert {(reply.status, tuple(reply.result["resources"])) for reply in replies} == {(200, ())}
    assert status == 0
    assert seconds < DRAIN_SECONDS


async def test_a_server_that_drains_finishes_what_is_under_way(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with contextlib.AsyncExitStack() as stack:
        wire, creating, polling, asking = [await stack.enter_async_context(connection(server.url)) for _ in range(4)]
        await wire.call("awf.task/create-and-execute", definition="test/task")
        (running,) = (await wire.call("awf.task/poll", start=True, **POLL)).result["resources"]
        polling.send("awf.task/long-poll", **POLL)
        asking.send("awf.task/result", id=running["id"], timeout=60_000)
        await server.waiting(polls=1, results=1)
        async with commits_held(database_url) as commits:
            creating.send("awf.task/create-and-execute", id="t1", definition="other/task")
            wire.send("awf.task/success", id=running["id"], execId=running["execId"])
            await commits.reached(2)
            server.signal(signal.SIGTERM)
            assert (await polling.receive()).result["resources"] == []
            assert (await asking.receive()).result["resource"]["status"] == "in-progress"
        assert (await creating.receive()).result["resource"]["status"] == "ready"
        assert (await wire.receive()).result["resource"]["outcome"] == "succeeded"
        assert await server.ended() == 0


async def test_a_server_that_drains_answers_who_has_just_connected(database_url: str) -> None:
    async with contextlib.AsyncExitStack() as stack, contextlib.AsyncExitStack() as serving:
        server = await serving.enter_async_context(running_service(database_url))
        silent, half, known = [await stack.enter_async_context(connection(server.url)) for _ in range(3)]
        half.send_raw(b"POST /rpc HTTP/1.1\r\n")
        await known.call("awf.task/create-and-execute", definition="test/task")  # connections are taken in their order
        async with asyncio.TaskGroup() as group:
            group.create_task(serving.aclose())
            await until(lambda: server.services.dispatcher.is_draining)
            silent.send("awf.task/status", id="t1")
            half.send_raw(b"host: test\r\ncontent-length: 0\r\n\r\n")
            statuses = [(await wire.receive()).status for wire in (silent, half)]
    assert statuses == [404, 400]


async def test_calls_that_do_not_end_keep_no_server_from_ending(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with contextlib.AsyncExitStack() as stack:
        creating, polling = [await stack.enter_async_context(connection(server.url)) for _ in range(2)]
        await creating.call("awf.task/create-and-execute", definition="test/task")
        async with commits_held(database_url) as commits:
            creating.send("awf.task/create-and-execute", id="t1", definition="other/task")
            polling.send("awf.task/poll", **POLL)
            await commits.reached(2)
            server.signal(signal.SIGTERM)
            for wire in (creating, polling):
                reply = await wire.receive()
                assert (reply.status, reply.error["type"]) == (504, "outcome-unknown")
                assert reply.headers["retry-after"] == "1"
            assert await server.ended() == 0


async def test_reading_that_does_not_end_keeps_no_server_from_ending(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire, tables_locked(database_url, "taskrpc.task") as locks:
        reading = asyncio.ensure_future(wire.get("/AidboxTask"))
        await locks.reached(READERS)
        server.signal(signal.SIGTERM)
        reply = await reading
        assert (reply.status, reply.error["type"], reply.headers["retry-after"]) == (503, "unavailable", "1")
        assert await server.ended() == 0


async def test_a_server_that_still_waits_for_its_database_ends_at_once(
    postgres: Postgres, own_url: str, spawn: Serve
) -> None:
    await postgres.stop()
    try:
        server = await spawn("--database-url", own_url)
        await server.logged("waiting for the database")
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0
    finally:
        await postgres.start()


async def test_a_restarted_server_goes_on_where_the_former_stopped(database_url: str, serve: Serve) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire:
        await wire.call("awf.definition/put", id="test/task", retryDelay=0)
        for n in range(3):
            await wire.call("awf.task/create-and-execute", id=f"t{n}", definition="test/task")
        running, requested = [
            (await wire.call("awf.task/poll", start=start, **POLL)).result["resources"][0] for start in (True, False)
        ]
    server.signal(signal.SIGTERM)
    assert await server.ended() == 0
    server = await serve(database_url)
    async with connection(server.url) as wire:
        ended = await wire.call("awf.task/success", id=running["id"], execId=running["execId"])
        begun = await wire.call("awf.task/start", id=requested["id"], execId=requested["execId"])
        (ready,) = (await wire.call("awf.task/poll", **POLL)).result["resources"]
    assert ended.result["resource"]["outcome"] == "succeeded"
    assert begun.result["resource"]["status"] == "in-progress"
    assert ready["id"] == "t2"


async def test_tasks_claimed_by_a_server_that_was_killed_come_back_by_their_deadline(
    database_url: str, serve: Serve
) -> None:
    doomed, other = await asyncio.gather(serve(database_url), serve(database_url))
    async with connection(other.url) as wire, connection(doomed.url) as polling:
        await wire.call("awf.definition/put", id="test/task", requestedToStartTimeout=500)
        await wire.call("awf.task/create-and-execute", id="t1", definition="test/task")
        async with commits_held(database_url) as commits:
            polling.send("awf.task/long-poll", **POLL)
            await commits.reached()
            await doomed.kill()
        (task,) = (await wire.call("awf.task/long-poll", **POLL)).result["resources"]
    assert task["id"] == "t1"
    assert "retryCount" not in task
    assert await _actions(database_url) == ["create-and-execute", "poll", "requested-timeout", "poll"]


async def _actions(database_url: str) -> list[Any]:
    async with connected(database_url) as database:
        log = await database.fetch("select action from taskrpc.log order by seq")
    return [entry["action"].removeprefix("awf.task/") for entry in log]
