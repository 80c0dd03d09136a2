"""Ten thousand waiting polls on one server: they cost nothing while nothing happens, and each is answered."""

import asyncio
import resource
from typing import Any, Final

import asyncpg

from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.waiting import until
from tests.system.wire import Wire, connection, connections

POLL: Final = {"taskDefinitions": ["test/task"], "timeout": 120_000}
MOST: Final = 10_000
FEW: Final = 2_000  # where the system allows no more open files
OTHER_FILES: Final = 500
SECONDS: Final = 90  # it takes 6 where nothing else runs
IDLE_CPU: Final = 0.3
_BATCH: Final = 1000


def _as_many_as_allowed() -> int:
    """How many polls this process, and the server that it starts, may hold open; raises the limit if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + OTHER_FILES
    if hard not in (-1, resource.RLIM_INFINITY) and hard < wanted:
        return FEW
    if soft not in (-1, resource.RLIM_INFINITY) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return MOST


async def test_ten_thousand_waiting_polls_cost_nothing_and_are_all_answered(database_url: str, serve: Serve) -> None:
    count = _as_many_as_allowed()
    server = await serve(database_url)
    async with asyncio.timeout(SECONDS), connections(server.url, count) as callers:
        for caller in callers:
            caller.send("awf.task/long-poll", **POLL)
        await server.waiting(polls=count, seconds=SECONDS)
        async with connected(database_url) as database:
            began = await _next_pulse(database)
            before = server.cpu_seconds
            ended = await _next_pulse(database, after=began + 1)
            used = (server.cpu_seconds - before) / (ended - began)
        async with connection(server.url) as wire:
            created = await _create(wire, count)
        polled = [task["id"] for tasks in await asyncio.gather(*map(_polled, callers)) for task in tasks]
    assert sorted(polled) == sorted(created)
    assert used < IDLE_CPU


async def _next_pulse(database: asyncpg.Connection, after: float = 0) -> float:
    """The time of the server's next sign of life, a second or so apart."""
    former: float = max(after, await _pulse(database))

    async def beaten() -> float | None:
        at = await _pulse(database)
        return at if at > former else None

    return await until(beaten)


async def _pulse(database: asyncpg.Connection) -> float:
    at: float = await database.fetchval("select extract(epoch from at)::float8 from taskrpc.pulse")
    return at


async def _create(wire: Wire, count: int) -> list[str]:
    call = {"method": "awf.task/create-and-execute", "params": {"definition": "test/task"}}
    answers: list[Any] = []
    while len(answers) < count:
        answers += await wire.batch(*[call] * min(_BATCH, count - len(answers)))
    return [answer["result"]["resource"]["id"] for answer in answers]


async def _polled(caller: Wire) -> list[Any]:
    tasks: list[Any] = (await caller.receive()).result["resources"]
    assert len(tasks) == 1
    return tasks
