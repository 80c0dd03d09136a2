"""The log's partitions: made ahead, dropped when they are old, and never in anybody's way."""

from datetime import timedelta

import asyncpg

from taskrpc.store import log_partitions
from tests.databases import Clock
from tests.engine.headless import Headless

DAY = 86400.0


async def _days(observer: asyncpg.Connection) -> list[int]:
    """The partitions, as days from today by the database's clock."""
    rows = await observer.fetch(
        "select to_date(right(c.relname, 8), 'YYYYMMDD') - (taskrpc.now() at time zone 'UTC')::date as day "
        "from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = 'taskrpc.log'::regclass and c.relname <> 'log_default' order by 1"
    )
    return [row["day"] for row in rows]


async def test_partitions_are_made_ahead_and_dropped_beyond_the_retention(
    still: Headless, observer: asyncpg.Connection, clock: Clock
) -> None:
    await log_partitions.keep(still.parts.database, 2)
    assert await _days(observer) == [0, 1, 2, 3]
    task = await still.started()
    await clock.advance(2 * DAY)
    await log_partitions.keep(still.parts.database, 2)
    assert await _days(observer) == [-2, -1, 0, 1, 2, 3]
    assert len((await still.call("awf.task/status", id=task["id"], **{"include-log?": True}))["log"]) == 2
    await clock.advance(DAY)
    await log_partitions.keep(still.parts.database, 2)
    assert await _days(observer) == [-2, -1, 0, 1, 2, 3]
    assert (await still.call("awf.task/status", id=task["id"], **{"include-log?": True}))["log"] == []


async def test_what_has_no_day_of_its_own_is_kept_and_trimmed_too(
    still: Headless, observer: asyncpg.Connection, clock: Clock
) -> None:
    await still.create()
    assert await observer.fetchval("select count(*) from taskrpc.log_default") == 1
    await log_partitions.keep(still.parts.database, 2)  # today's rows are there already: no partition for today
    assert await _days(observer) == [1, 2, 3]
    await still.create()
    assert await observer.fetchval("select count(*) from taskrpc.log") == 2
    await clock.advance(timedelta(days=2, hours=1).total_seconds())
    await log_partitions.keep(still.parts.database, 2)
    assert await observer.fetchval("select count(*) from taskrpc.log") == 0


async def test_somebody_who_reads_the_log_is_not_waited_for(still: Headless, observer: asyncpg.Connection) -> None:
    async with observer.transaction():
        await observer.fetch("select from taskrpc.log")
        await log_partitions.keep(still.parts.database, 2)
        assert await _days(observer) == []
        await still.create()
    await log_partitions.keep(still.parts.database, 2)
    assert await _days(observer) == [1, 2, 3]
