"""Whatever happens to the database under load: what was acknowledged is not lost, and nothing is done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

from taskrpc.store.statements import SQL
from tests.databases import connected
from tests.system.conftest import Serve
from tests.system.history import History, replayed
from tests.system.persistent import Account, Persistent
from tests.system.postgres import FAST, IMMEDIATE, KILL, Postgres, cut_connections
from tests.system.waiting import Stopwatch, promised, until
from tests.system.wire import connection

FREE: Final = "free/task"
LIMITED: Final = "limited/task"
CLIENTS: Final = 8
RECOVERY_SECONDS: Final = promised(2.0)
SECONDS: Final = 60
_PROGRESS: Final = 100

Fault = Callable[[], Awaitable[object]]


def _faults(postgres: Postgres, url: str) -> list[Fault]:
    async def restart(how: Any) -> None:
        await postgres.stop(how)
        await postgres.start()

    async def cut() -> None:
        assert await cut_connections(url) > 0

    stops = [lambda how=how: restart(how) for how in (IMMEDIATE, KILL, FAST)]
    return [cut, cut, cut, stops[0], cut, cut, cut, stops[1], cut, cut, cut, stops[2]]


async def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(
    postgres: Postgres, own_url: str, serve: Serve
) -> None:
    servers = await asyncio.gather(serve(own_url), serve(own_url))
    account, stop = Account(), asyncio.Event()
    async with connection(servers[0].url) as wire:
        times = {"requestedToStartTimeout": 1000, "inProgressTimeout": 1000, "allowedRetryCount": 100, "retryDelay": 10}
        await wire.call("awf.definition/put", id=FREE, **times)
        await wire.call("awf.definition/put", id=LIMITED, concurrencyLimit=5, queueLimit=100_000, **times)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        clients = [Persistent(server.url, definition, account) for server in servers for definition in (FREE, LIMITED)]
        creators = [group.create_task(client.create(stop)) for client in clients]
        executors = [group.create_task(client.execute()) for client in clients * CLIENTS]
        for fault in _faults(postgres, own_url):
            await _progress(account)
            await fault()
            watch = Stopwatch()
            await _progress(account, 1)
            assert watch.seconds < RECOVERY_SECONDS
        stop.set()
        await asyncio.wait(creators)
        await _all_done(own_url)
        for executor in executors:
            executor.cancel()
    async with connected(own_url) as database:
        await _check(account, database)


async def _progress(account: Account, count: int = _PROGRESS) -> None:
    """Waits until so many more tasks were created."""
    goal = len(account.created) + count

    async def reached() -> bool:
        return len(account.created) >= goal

    await until(reached)


async def _all_done(url: str) -> None:
    async def done() -> bool:
        async with connected(url) as database:
            return not await database.fetchval("select exists (select from taskrpc.task where status <> 'done')")

    await until(done)


async def _check(account: Account, database: asyncpg.Connection) -> None:
    histories = replayed(await database.fetch("select * from taskrpc.log order by seq"))
    rows = {row["id"]: row for row in await database.fetch("select * from taskrpc.task")}
    assert set(account.created) == set(rows) == set(histories)
    assert len(account.created) == len(rows)
    for task_id, row in rows.items():
        _check_task(row, histories[task_id], account.succeeded[task_id])
    assert await database.fetch(SQL["gate_faults"]) == []
    assert set(account.statuses) <= {200, 409, 422, 503, 504}


def _check_task(row: asyncpg.Record, history: History, acknowledged: list[str]) -> None:
    assert (row["status"], row["outcome"], history.creations) == ("done", "succeeded", 1)
    assert history.successes == acknowledged == [row["exec_id"]]
    assert history.attempts == row["retry_count"]
