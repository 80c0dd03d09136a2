"""Two servers, 50 executors that fail, die and dawdle, 5,000 tasks: each is done exactly once, and none is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

import asyncpg

from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.fleet import Ledger, run_fleet
from tests.system.history import History, replayed
from tests.system.waiting import until
from tests.system.wire import Wire, connection

TASKS: Final = 5000
EXECUTORS: Final = 50
ATTEMPTS: Final = 3
SECONDS: Final = 60
DEFINITION: Final = "fleet/task"
_BATCH: Final = 250
_TIMES: Final = {"requestedToStartTimeout": 1000, "inProgressTimeout": 1000, "retryDelay": 50}


async def test_each_of_5000_tasks_is_done_exactly_once(database_url: str, serve: Serve) -> None:
    servers = await asyncio.gather(serve(database_url), serve(database_url))
    urls, ledger = [server.url for server in servers], Ledger()
    async with asyncio.timeout(SECONDS), connection(urls[0]) as wire, connected(database_url) as database:
        await wire.call("awf.definition/put", id=DEFINITION, allowedRetryCount=ATTEMPTS, **_TIMES)
        async with _working(run_fleet(urls, EXECUTORS, DEFINITION, ledger)):
            await _create(wire)
            await _all_succeeded(wire, database)
        rows = await database.fetch("select id, exec_id, retry_count, status from taskrpc.task")
        log = await database.fetch("select * from taskrpc.log order by seq")
    histories = replayed(log)
    assert len(rows) == len(histories) == TASKS
    for row in rows:
        _check(row, histories[row["id"]], ledger)
    assert ledger.deaths > 50
    assert ledger.refused > 10


@contextlib.asynccontextmanager
async def _working(fleet: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Has the fleet work in the background; an executor's failure ends the block."""
    async with asyncio.TaskGroup() as group:
        background = group.create_task(fleet)
        yield
        background.cancel()


async def _create(wire: Wire) -> None:
    calls = [
        {"method": "awf.task/create-and-execute", "params": {"definition": DEFINITION, "params": {"n": n}}}
        for n in range(TASKS)
    ]
    for begin in range(0, TASKS, _BATCH):
        answers = await wire.batch(*calls[begin : begin + _BATCH])
        assert all("result" in answer for answer in answers)


async def _all_succeeded(wire: Wire, database: asyncpg.Connection) -> None:
    """Begins a new generation of every task that failed for good, until there is none left to do."""

    async def nothing_left() -> bool:
        failed = await database.fetch("select id from taskrpc.task where outcome = 'failed'")
        for row in failed:
            assert (await wire.call("awf.task/retry", id=row["id"])).status == 200
        succeeded = await database.fetchval("select count(*) from taskrpc.task where outcome = 'succeeded'")
        return bool(succeeded == TASKS)

    await until(nothing_left, SECONDS)


def _check(row: asyncpg.Record, history: History, ledger: Ledger) -> None:
    assert history.status == row["status"] == "done"
    assert history.creations == 1
    assert history.successes == [row["exec_id"]]
    assert history.attempts == row["retry_count"]
    assert history.most_attempts <= ATTEMPTS
    known = ledger.acknowledged[row["id"]]
    assert known == history.successes or (not known and row["exec_id"] in ledger.unanswered[row["id"]])
