"""One function of the database says what time it is, to every statement; a test can move it."""

import re

import asyncpg
import pytest

from taskrpc.store.migrate import available
from taskrpc.store.statements import STATEMENTS, Statement
from tests.databases import Clock
from tests.engine.headless import Headless

CLOCKS = re.compile(
    r"(?<!taskrpc\.)\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\("
    r"|\b(current_timestamp|current_date|current_time|localtimestamp)\b",
    re.IGNORECASE,
)


# xmin_holders reads times of PostgreSQL itself.
OURS = [statement for statement in STATEMENTS.values() if statement.name != "xmin_holders"]


@pytest.mark.parametrize("statement", OURS, ids=[statement.name for statement in OURS])
def test_a_statement_asks_no_other_clock(statement: Statement) -> None:
    assert not CLOCKS.search(statement.sql)


def test_no_column_takes_its_default_from_another_clock() -> None:
    code = "\n".join(re.sub(r"--.*", "", sql) for _, sql in available())
    assert re.findall(r"pg_catalog\.now\(\)", code) == ["pg_catalog.now()"]
    assert not CLOCKS.search(code.replace("function taskrpc.now", "").replace("pg_catalog.now()", ""))


@pytest.mark.parametrize("moved", [False, True])
async def test_the_clock_is_stable_so_that_plans_may_use_indexes(
    observer: asyncpg.Connection, clock: Clock, moved: bool
) -> None:
    if moved:
        await clock.advance(5)
    query = "select provolatile::text from pg_proc where oid = 'taskrpc.now'::regproc"
    assert await observer.fetchval(query) == "s"
    async with observer.transaction():
        assert await observer.fetchval("select taskrpc.now() - now()") == await observer.fetchval(
            "select offset_ from taskrpc.test_clock"
        )


async def test_a_moved_clock_moves_every_time_of_a_task(still: Headless, clock: Clock) -> None:
    await clock.advance(86400 * 365 * 50)
    task = await still.started()
    await still.of("fail", task)
    seen = await still.status(task)
    years = {seen["meta"]["createdAt"][:3], seen["meta"]["lastUpdated"][:3], seen["executeAt"][:3]}
    assert years == {task["inProgressTimeoutAt"][:3]}
    assert int(years.pop()) >= 207
    log = (await still.call("awf.task/status", id=task["id"], **{"include-log?": True}))["log"]
    assert all(entry["meta"]["createdAt"] >= seen["meta"]["createdAt"] for entry in log)
