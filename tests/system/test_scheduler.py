"""The scheduler on real servers, one of which is killed at the tick: each tick fires exactly once."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from tests.databases import Clock, connected
from tests.system.conftest import Serve
from tests.system.waiting import until
from tests.system.wire import connection

TICKS: Final = 6
_FIRST: Final = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
_RULE: Final[Any] = {
    "id": "rule",
    "schedule": "* * * * *",
    "concurrency-policy": "allow",
    "task-request": {"definition": "test/task"},
}
_RULE_OF_WORKFLOWS: Final[Any] = {
    "id": "rule of workflows",
    "schedule": "* * * * *",
    "concurrency-policy": "allow",
    "workflow-request": {"definition": "test/flow"},
}


async def test_each_tick_fires_exactly_once_although_a_server_is_killed_at_it(
    database_url: str, clock: Clock, serve: Serve
) -> None:
    chance = random.Random(7)
    servers = list(await asyncio.gather(*(serve(database_url) for _ in range(3))))
    async with connection(servers[0].url) as wire, connected(database_url) as database:
        await clock.move_to("2027-01-31T08:59:30")
        await wire.call("awf.scheduler/put", **_RULE)
        await wire.call("awf.scheduler/put", **_RULE_OF_WORKFLOWS)
        for n in range(TICKS):
            tick = _FIRST + timedelta(minutes=n)
            # All servers look at least once a second, and so wake together at the tick.
            await clock.move_to((tick - timedelta(seconds=1.2)).replace(tzinfo=None).isoformat())
            await _reached(database, tick + timedelta(milliseconds=chance.uniform(-2, 12)))
            victim = servers.pop(chance.randrange(len(servers)))
            await victim.kill()
            replacement = asyncio.ensure_future(serve(database_url))
            await _judged(database, tick)
            servers.append(await replacement)
        started = await database.fetch(
            "select kind, requester ->> 'tick' as tick from taskrpc.task where kind <> 'decision' order by 1, 2"
        )
        decisions = await database.fetchval(
            "select count(distinct parent_id) from taskrpc.task where kind = 'decision'"
        )
    ticks = [_FIRST + timedelta(minutes=n) for n in range(TICKS)]
    assert [(row["kind"], datetime.fromisoformat(row["tick"])) for row in started] == [
        (kind, tick) for kind in ("task", "workflow") for tick in ticks
    ]
    assert decisions == TICKS


async def test_ticks_of_a_downtime_fire_within_their_deadline_only(
    database_url: str, clock: Clock, serve: Serve
) -> None:
    server = await serve(database_url)
    async with connection(server.url) as wire, connected(database_url) as database:
        await clock.move_to("2027-01-31T08:59:30")
        await wire.call("awf.scheduler/put", **_RULE)
        await server.kill()
        await clock.move_to("2027-01-31T10:00:30")
        await serve(database_url)
        await _judged(database, datetime(2027, 1, 31, 10, 0, tzinfo=UTC))
        started = await database.fetch("select requester ->> 'tick' as tick from taskrpc.task")
    assert [row["tick"] for row in started] == ["2027-01-31T10:00:00.000000Z"]


async def _reached(database: asyncpg.Connection, time: datetime) -> None:
    async def there() -> bool:
        return bool(await database.fetchval("select taskrpc.now() >= $1", time))

    await until(there)


async def _judged(database: asyncpg.Connection, tick: datetime) -> None:
    async def there() -> bool:
        return bool(await database.fetchval("select min(next_at) > $1 from taskrpc.scheduler_rule", tick))

    await until(there)
