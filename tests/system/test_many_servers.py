"""Several servers on one database know of each other's work."""

import asyncio
import contextlib
import statistics
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.databases import connected, in_database
from tests.system.conftest import Serve
from tests.system.processes import ServerProcess, run
from tests.system.waiting import Stopwatch, promised
from tests.system.wire import Wire, connection

# Rounds, and the seconds that most of them may take: less with hints than with slow polls, which come every second and
# take nearly all of it here. A round before them makes the servers acquainted.
WAYS: Final = {"notify": ("--notify", 9, 0.3), "slow poll": ("--no-notify", 3, promised(1.0))}
STRICTER: Final = {"params": {"type": "object", "required": ["n"]}}

ways = pytest.mark.parametrize(("flag", "rounds", "seconds"), WAYS.values(), ids=WAYS)


@contextlib.asynccontextmanager
async def two(serve: Serve, database_url: str, flag: str) -> AsyncIterator[tuple[ServerProcess, Wire, Wire]]:
    """Two servers: the second one, and a connection to each."""
    first, second = await asyncio.gather(serve(database_url, flag), serve(database_url, flag))
    async with connection(first.url) as here, connection(second.url) as there:
        yield second, here, there


async def _created(wire: Wire, **further: Any) -> Any:
    reply = await wire.call("awf.task/create-and-execute", definition="test/task", **further)
    return reply.result["resource"]


@ways
async def test_a_task_created_on_one_server_wakes_a_poll_on_another(
    database_url: str, serve: Serve, flag: str, rounds: int, seconds: float
) -> None:
    taken = []
    async with two(serve, database_url, flag) as (second, here, there):
        for _ in range(1 + rounds):
            there.send("awf.task/long-poll", taskDefinitions=["test/task"], timeout=60_000)
            await second.waiting(polls=1)
            created = await _created(here)
            watch = Stopwatch()
            (task,) = (await there.receive()).result["resources"]
            taken.append(watch.seconds)
            assert task["id"] == created["id"]
    assert statistics.median(taken[1:]) < seconds


@ways
async def test_who_waits_for_a_result_is_answered_when_the_task_ends_on_another_server(
    database_url: str, serve: Serve, flag: str, rounds: int, seconds: float
) -> None:
    taken = []
    async with two(serve, database_url, flag) as (second, here, there):
        for _ in range(1 + rounds):
            created = await _created(here)
            there.send("awf.task/result", id=created["id"], timeout=60_000)
            await second.waiting(results=1)
            (task,) = (await here.call("awf.task/poll", taskDefinitions=["test/task"], start=True)).result["resources"]
            await here.call("awf.task/success", id=task["id"], execId=task["execId"], result={"rows": 3})
            watch = Stopwatch()
            resource = (await there.receive()).result["resource"]
            taken.append(watch.seconds)
            assert (resource["status"], resource["result"]) == ("done", {"rows": 3})
    assert statistics.median(taken[1:]) < seconds


async def test_a_server_goes_on_telling_others_that_somebody_waits(database_url: str, serve: Serve) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    def listen(*message: Any) -> None:
        told.put_nowait(message[3])

    async with connected(database_url) as database:
        await database.add_listener("taskrpc", listen)
        server = await serve(database_url, "--notify")
        async with connection(server.url) as wire, connection(server.url) as polling:
            for _ in range(2):  # the second poll comes while the others still know of the first
                polling.send("awf.task/long-poll", taskDefinitions=["test/task"], timeout=60_000)
                await server.waiting(polls=1)
                await _created(wire)
                await polling.receive()
            polling.send("awf.task/long-poll", taskDefinitions=["test/task"], timeout=60_000)
            for _ in range(3):
                await _announced(told)
        await database.remove_listener("taskrpc", listen)


async def _announced(told: asyncio.Queue[str]) -> None:
    """Waits until a server says that somebody waits for tasks."""
    async with asyncio.timeout(10):
        while "queued" not in orjson.loads(await told.get()).get("wants", ()):
            pass


@pytest.mark.parametrize("flag", ["--notify", "--no-notify"])
async def test_a_definition_put_on_one_server_holds_on_another_at_once(
    database_url: str, serve: Serve, flag: str
) -> None:
    async with two(serve, database_url, flag) as (_, here, there):
        assert (await there.call("awf.task/create-and-execute", definition="test/task")).status == 200
        await here.call("awf.definition/put", id="test/task", **STRICTER)
        refused = await there.call("awf.task/create-and-execute", definition="test/task")
        known = await there.call("awf.definition/get", id="test/task")
        await here.call("awf.definition/delete", id="test/task")
        created = await there.call("awf.task/create-and-execute", definition="test/task")
    assert refused.error["type"] == "invalid-params"
    assert known.result["resource"]["params"] == STRICTER["params"]
    assert created.status == 200


async def test_a_strict_server_knows_a_definition_that_was_just_put_on_another(database_url: str, serve: Serve) -> None:
    async with two(serve, database_url, "--strict-definitions") as (_, here, there):
        refused = await there.call("awf.task/create-and-execute", definition="test/task")
        await here.call("awf.definition/put", id="test/task")
        created = await there.call("awf.task/create-and-execute", definition="test/task")
        await here.call("awf.definition/delete", id="test/task")
        deleted = await there.call("awf.task/create-and-execute", definition="test/task")
    assert refused.error["type"] == "definition-not-found"
    assert created.status == 200
    assert deleted.error["type"] == "definition-not-found"


async def test_an_old_file_of_definitions_undoes_nothing(database_url: str, serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "definitions.yaml"
    file.write_text("test/task:\n  allowedRetryCount: 3\n")
    first = await serve(database_url, "--definitions", str(file))
    async with connection(first.url) as wire:
        applied = (await wire.call("awf.definition/get", id="test/task")).result["resource"]
        await wire.call("awf.definition/put", id="test/task", allowedRetryCount=7)
    old = await serve(database_url, "--definitions", str(file))
    async with connection(old.url) as wire:
        kept = (await wire.call("awf.definition/get", id="test/task")).result["resource"]
    file.write_text("test/task:\n  allowedRetryCount: 9\n")
    newer = await serve(database_url, "--definitions", str(tmp_path))
    async with connection(newer.url) as wire:
        renewed = (await wire.call("awf.definition/get", id="test/task")).result["resource"]
    assert [each["allowedRetryCount"] for each in (applied, kept, renewed)] == [3, 7, 9]


@pytest.fixture
async def fresh_url(database_url: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    name = f"taskrpc_test_{uuid.uuid4().hex}"
    async with connected(database_url) as database:
        await database.execute(f"create database {name}")
        yield in_database(database_url, name)
        await database.execute(f"drop database {name} with (force)")


async def test_ten_that_start_at_once_on_a_fresh_database_migrate_it_once(fresh_url: str, serve: Serve) -> None:
    migrations = [run("migrate", "--database-url", fresh_url) for _ in range(5)]
    servers = [serve(fresh_url) for _ in range(5)]
    ended, running = await asyncio.gather(asyncio.gather(*migrations), asyncio.gather(*servers))
    assert [each.status for each in ended] == [0] * 5
    applied = [line for each in ended for line in each.out.splitlines() if line.startswith("applied")]
    applied += [line for server in running for line in server.log.splitlines() if line.endswith("applied")]
    async with connected(fresh_url) as database:
        assert len(applied) == await database.fetchval("select count(*) from taskrpc.migration") > 0
    for server in running:
        async with connection(server.url) as wire:
            await _created(wire)
