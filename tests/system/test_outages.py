"""The database goes away and comes back: calls are refused meanwhile, waiting goes on, and then all works again."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from tests.databases import Clock, connected
from tests.services import Reply
from tests.system.conftest import Serve
from tests.system.postgres import FAST, IMMEDIATE, KILL, Postgres, commits_held, cut_connections, tables_locked
from tests.system.processes import ServerProcess
from tests.system.waiting import Stopwatch, promised, until
from tests.system.wire import Wire, connection, connections

RECOVERY_SECONDS: Final = promised(2.0)
LONG_OUTAGE_SECONDS: Final = 5.3

OF_EXECUTION: Final = ("start", "notify", "success", "fail", "release", "feedback")
EVENT: Final = {"get-in": ["resourceType"], "comparator": "eq", "value": "Patient"}
OF_TASK: Final = ("cancel", "stop", "retry", "status", "result")


@contextlib.asynccontextmanager
async def away(postgres: Postgres, how: signal.Signals = FAST) -> AsyncIterator[None]:
    """The database is away for the length of the block."""
    await postgres.stop(how)
    try:
        yield
    finally:
        await postgres.start()


async def noticed(server: ServerProcess) -> None:
    """Waits until a server knows that its database is away."""

    async def unavailable() -> bool:
        return bool((await server.health())["status"] == "unavailable")

    await until(unavailable)


async def handed_out(wire: Wire, definition: str = "test/task") -> Any:
    """A task that was created and handed out."""
    await wire.call("awf.task/create-and-execute", definition=definition)
    (task,) = (await wire.call("awf.task/poll", taskDefinitions=[definition])).result["resources"]
    return task


async def started(wire: Wire, definition: str = "test/task") -> Any:
    """A task that runs."""
    task = await handed_out(wire, definition)
    return (await wire.call("awf.task/start", id=task["id"], execId=task["execId"])).result["resource"]


def calls_about(task: Any) -> list[tuple[str, dict[str, Any]]]:
    """A call of every method."""
    poll = {"taskDefinitions": ["test/task"]}
    execution = {"id": task["id"], "execId": task["execId"]}
    further: dict[str, dict[str, Any]] = {"notify": {"notification": "heartbeat"}, "feedback": {"feedback": 1}}
    return [
        *((f"awf.task/{name}", execution | further.get(name, {})) for name in OF_EXECUTION),
        *((f"awf.task/{name}", {"id": task["id"]}) for name in OF_TASK),
        ("awf.task/poll", poll),
        ("awf.task/long-poll", poll | {"timeout": 0}),
        ("awf.task/create-and-execute", {"definition": "test/task"}),
        ("awf.task/list", {}),
        ("awf.definition/put", {"id": "test/task"}),
        ("awf.definition/get", {"id": "test/task"}),
        ("awf.definition/list", {}),
        ("awf.definition/delete", {"id": "test/task"}),
        ("awf.scheduler/put", {"id": "rule", "schedule": "@daily", "task-request": {"definition": "test/task"}}),
        *((f"awf.scheduler/{name}", {"id": "rule"}) for name in ("get", "run", "delete")),
        ("awf.scheduler/list", {}),
        ("awf.subscription/put", {"id": "rule", "select-by": [EVENT], "task-request": {"definition": "test/task"}}),
        *((f"awf.subscription/{name}", {"id": "rule"}) for name in ("get", "delete")),
        ("awf.subscription/list", {}),
        ("awf.event/publish", {"resource": {}}),
    ]


def assert_unavailable(reply: Reply) -> None:
    """503, and when to try again."""
    assert (reply.status, reply.error["type"]) == (503, "unavailable"), reply
    assert int(reply.headers["retry-after"]) > 0


async def created(wire: Wire, definition: str) -> Any:
    """A new task, as soon as one can be created."""

    async def accepted() -> Any:
        reply = await wire.call("awf.task/create-and-execute", definition=definition)
        if reply.status != 200:
            assert_unavailable(reply)
            return None
        return reply.result["resource"]

    return await until(accepted)


@pytest.mark.parametrize("how", [FAST, IMMEDIATE, KILL], ids=["fast", "immediate", "kill"])
async def test_every_call_is_refused_while_the_database_is_away_and_polls_wait_for_its_return(
    postgres: Postgres, own_url: str, serve: Serve, how: signal.Signals
) -> None:
    server = await serve(own_url)
    async with connection(server.url) as wire, connection(server.url) as polling, connection(server.url) as asking:
        running = await started(wire)
        asking.send("awf.task/result", id=running["id"], timeout=60_000)
        polling.send("awf.task/long-poll", taskDefinitions=["later/task"], timeout=60_000)
        answers = [asyncio.ensure_future(waiting.receive()) for waiting in (polling, asking)]
        await server.waiting(polls=1, results=1)
        async with away(postgres, how):
            await noticed(server)
            for method, params in calls_about(running):
                assert_unavailable(await wire.call(method, **params))
            assert_unavailable(await wire.get("/AidboxTask"))
            assert (await wire.get("/health/live")).status == 200
            assert (await wire.get("/health/ready")).status == 503
            assert not any(answer.done() for answer in answers)
        watch = Stopwatch()
        task = await created(wire, "later/task")
        polled = await answers[0]
        assert watch.seconds < RECOVERY_SECONDS
        ended = await wire.call("awf.task/success", id=running["id"], execId=running["execId"])
        assert [each["id"] for each in polled.result["resources"]] == [task["id"]]
        assert (await answers[1]).result["resource"] == ended.result["resource"]


async def test_polls_go_on_waiting_when_all_connections_are_cut(own_url: str, serve: Serve) -> None:
    server = await serve(own_url)
    async with connection(server.url) as wire, connection(server.url) as polling:
        for _ in range(5):
            polling.send("awf.task/long-poll", taskDefinitions=["later/task"], timeout=60_000)
            await server.waiting(polls=1)
            assert await cut_connections(own_url) > 0
            watch = Stopwatch()
            task = (await wire.call("awf.task/create-and-execute", definition="later/task")).result["resource"]
            (polled,) = (await polling.receive()).result["resources"]
            assert watch.seconds < RECOVERY_SECONDS
            assert polled["id"] == task["id"]


async def test_calls_whose_connections_are_cut_are_carried_out_or_refused(own_url: str, serve: Serve) -> None:
    server = await serve(own_url)
    async with contextlib.AsyncExitStack() as stack:
        wires = await stack.enter_async_context(connections(server.url, 6))
        task = await started(wires[0])
        for name in ("old/task", "kept/task"):
            await wires[0].call("awf.definition/put", id=name)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("awf.definition/put", {"id": "new/task", "concurrencyLimit": 1}),
            ("awf.definition/delete", {"id": "old/task"}),
            ("awf.definition/get", {"id": "kept/task"}),
            ("awf.definition/list", {}),
            ("awf.task/status", {"id": task["id"]}),
            ("awf.task/list", {}),
        ]
        async with tables_locked(own_url, "taskrpc.definition", "taskrpc.task") as locks:
            for wire, (method, params) in zip(wires, calls, strict=True):
                wire.send(method, **params)
            # Each call waits in one statement, the list in two; so do the loops for definitions and deadlines.
            await locks.reached(len(calls) + 3)
            assert await locks.cut_connections() >= len(calls)
        replies = [await wire.receive() for wire in wires]
    for reply in replies[:4]:  # 504 where it took more than 5 s until they were cut
        assert reply.status == 200 or (reply.status, reply.error["type"]) == (504, "outcome-unknown"), reply
    for reply in replies[4:]:
        assert_unavailable(reply)


async def test_calls_to_a_frozen_database_are_refused_in_time_and_carried_out_when_it_goes_on(
    postgres: Postgres, own_url: str, serve: Serve
) -> None:
    server = await serve(own_url)
    async with connection(server.url) as wire, connection(server.url) as polling, connection(server.url) as creating:
        running = await started(wire)
        polling.send("awf.task/long-poll", taskDefinitions=["later/task"], timeout=60_000)
        await server.waiting(polls=1)
        with postgres.frozen():
            creating.send("awf.task/create-and-execute", id="later-1", definition="later/task")
            assert_unavailable(await wire.call("awf.task/status", id=running["id"]))
        watch = Stopwatch()
        assert (await creating.receive()).result["resource"]["id"] == "later-1"
        (polled,) = (await polling.receive()).result["resources"]
        await created(wire, "test/task")
        assert watch.seconds < RECOVERY_SECONDS
        assert polled["id"] == "later-1"


async def test_what_became_of_a_call_is_unknown_when_the_database_leaves_during_it_and_stays_away(
    postgres: Postgres, own_url: str, serve: Serve
) -> None:
    server = await serve(own_url)
    async with connection(server.url) as wire, connection(server.url) as creating:
        running = await started(wire)
        execution = {"id": running["id"], "execId": running["execId"], "callId": "end"}
        with contextlib.suppress(asyncpg.PostgresConnectionError, asyncpg.InterfaceError):  # the holder is cut off
            async with commits_held(own_url) as commits:
                creating.send("awf.task/create-and-execute", id="t1", definition="test/task")
                wire.send("awf.task/success", **execution)
                await commits.reached(2)
                await postgres.stop(IMMEDIATE)
        try:
            for caller in (creating, wire):
                reply = await caller.receive()
                assert (reply.status, reply.error["type"]) == (504, "outcome-unknown")
                assert int(reply.headers["retry-after"]) > 0
        finally:
            await postgres.start()
        await created(wire, "other/task")
        again = await creating.call("awf.task/create-and-execute", id="t1", definition="test/task")
        ended = await wire.call("awf.task/success", **execution)
    assert again.result["resource"]["id"] == "t1"
    assert ended.result["resource"]["outcome"] == "succeeded"


async def test_an_outage_costs_no_executor_its_work(postgres: Postgres, own_url: str, serve: Serve) -> None:
    server = await serve(own_url)
    async with connection(server.url) as wire:
        times = {"requestedToStartTimeout": 2000, "inProgressTimeout": 2000}
        await wire.call("awf.definition/put", id="short/task", **times)
        running, requested = await started(wire, "short/task"), await handed_out(wire, "short/task")
        async with away(postgres):
            watch = Stopwatch()
            await noticed(server)

            async def long_enough() -> bool:
                assert_unavailable(await wire.call("awf.task/success", id=running["id"], execId=running["execId"]))
                return watch.seconds > LONG_OUTAGE_SECONDS

            await until(long_enough)
        await created(wire, "test/task")
        ended = await wire.call("awf.task/success", id=running["id"], execId=running["execId"])
        begun = await wire.call("awf.task/start", id=requested["id"], execId=requested["execId"])
    assert (ended.result["resource"]["outcome"], ended.result["resource"]["retryCount"]) == ("succeeded", 1)
    assert (begun.result["resource"]["status"], begun.result["resource"]["retryCount"]) == ("in-progress", 1)


@pytest.mark.parametrize("servers_too", [False, True], ids=["database away", "servers away"])
async def test_after_an_outage_a_whole_timeout_is_given_anew_and_no_more(
    database_url: str, clock: Clock, serve: Serve, servers_too: bool
) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire:
        running, requested = await started(wire), await handed_out(wire)
    if servers_too:
        await server.kill()
    await clock.advance(600, outage=True)
    if servers_too:
        server = await serve(database_url)
    async with connection(server.url) as wire, connected(database_url) as database:
        assert await _remaining(database, running) == pytest.approx(120, abs=5)
        assert await _remaining(database, requested) == pytest.approx(10, abs=5)
        await clock.advance(10)
        await _reaches(wire, requested, "ready")
        assert (await _seen(wire, running))["execId"] == running["execId"]
        await clock.advance(110)
        await _reaches(wire, running, "waiting")


async def _remaining(database: asyncpg.Connection, task: Any) -> float:
    """The seconds that a task's deadline is ahead, as soon as it is."""
    left = "select greatest(extract(epoch from lease_at - taskrpc.now()), 0)::float8 from taskrpc.task where id = $1"

    async def seconds() -> float:
        found: float = await database.fetchval(left, task["id"])
        return found

    return await until(seconds)


async def _seen(wire: Wire, task: Any) -> Any:
    return (await wire.call("awf.task/status", id=task["id"])).result["resource"]


async def _reaches(wire: Wire, task: Any, status: str) -> None:
    async def there() -> bool:
        return bool((await _seen(wire, task))["status"] == status)

    await until(there)


async def test_a_server_waits_for_a_database_that_is_not_there_yet(
    postgres: Postgres, own_url: str, spawn: Serve
) -> None:
    async with away(postgres):
        server = await spawn("--database-url", own_url)
        await server.logged("waiting for the database")
    await server.ready()
    async with connection(server.url) as wire:
        await created(wire, "test/task")
