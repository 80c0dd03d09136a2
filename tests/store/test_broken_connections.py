"""Connections that break during a statement: the call's own id tells what happened, nothing is guessed."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from tests.databases import temporary_directory
from tests.engine.headless import Headless, headless
from tests.system.lossy import LossyPath, lossy_path
from tests.system.waiting import until

# Whoever changes a task comes to a halt before its commit, until the lock is free.
HALT: Final = """
create function taskrpc.halt() returns trigger language plpgsql as $$
begin perform pg_advisory_xact_lock(7); return null; end $$;
create constraint trigger halt after insert or update on taskrpc.task
deferrable initially deferred for each row execute function taskrpc.halt();
select pg_advisory_lock(7);
"""
HALTED: Final = "select array_agg(distinct pid) from pg_locks where locktype = 'advisory' and not granted"
_LOOKS_FOR: Final = """
select count(*) from pg_stat_activity
where query like '%from pg_stat_activity where pid = $1%' and pid <> pg_backend_pid() and $1::int is not null
"""
METHODS: Final = ["start", "success", "fail", "release", "cancel", "feedback"]


async def _halted(observer: asyncpg.Connection) -> list[int]:
    async def processes() -> list[int] | None:
        pids: list[int] | None = await observer.fetchval(HALTED)
        return pids

    return await until(processes)


async def _go_on(observer: asyncpg.Connection) -> None:
    await observer.execute("select pg_advisory_unlock(7)")


@contextlib.asynccontextmanager
async def _over_a_path(database_url: str) -> AsyncIterator[tuple[Headless, LossyPath]]:
    """A server whose connections to its database the test can cut while the database goes on with its work."""
    if "host=/" not in database_url.replace("%2F", "/"):
        pytest.skip("the path leads through a Unix socket")
    directory = temporary_directory()
    try:
        async with lossy_path(database_url, directory) as path, headless(path.url, loops=False) as server:
            yield server, path
    finally:
        shutil.rmtree(directory)


async def _call(server: Headless, method: str, task: Any) -> Any:
    params = {"feedback": 1, "append": True} if method == "feedback" else {}
    if method != "cancel":
        params |= {"execId": task["execId"]}
    return (await server.call(f"awf.task/{method}", id=task["id"], **params))["resource"]


async def _polled(server: Headless, method: str) -> Any:
    await server.create()
    (task,) = await server.poll(start=method != "start")
    return task


@pytest.mark.parametrize("limits", [{}, {"concurrencyLimit": 1, "queueLimit": 9}], ids=["free", "limited"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_call_that_was_rolled_back_is_sent_again(
    still: Headless, observer: asyncpg.Connection, method: str, limits: dict[str, int]
) -> None:
    await still.call("awf.definition/put", id="test/task", **limits)
    task = await _polled(still, method)
    await observer.execute(HALT)
    calling = asyncio.ensure_future(_call(still, method, task))
    for process in await _halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await _halted(observer)  # it was sent again, and has come to the same place
    await _go_on(observer)
    answer = await calling
    assert int(answer["meta"]["versionId"]) == int(task["meta"]["versionId"]) + 1
    assert await _logged(observer, method) == 1


async def _logged(observer: asyncpg.Connection, method: str) -> int:
    query = "select count(*) from taskrpc.log where action = $1"
    count: int = await observer.fetchval(query, f"awf.task/{method}")
    return count


@pytest.mark.parametrize("method", METHODS)
async def test_a_call_that_may_still_commit_is_not_sent_again_before_that_is_known(
    observer: asyncpg.Connection, database_url: str, method: str
) -> None:
    async with _over_a_path(database_url) as (server, path):
        task = await _polled(server, method)
        await observer.execute(HALT)
        calling = asyncio.ensure_future(_call(server, method, task))
        (process,) = await _halted(observer)
        path.cut()
        await until(lambda: observer.fetchval(_LOOKS_FOR, process))
        assert await _halted(observer) == [process]
        await _go_on(observer)
        answer = await calling
    assert int(answer["meta"]["versionId"]) == int(task["meta"]["versionId"]) + 1
    assert await _logged(observer, method) == 1


async def test_a_claim_that_commits_after_its_connection_broke_is_given_back(
    observer: asyncpg.Connection, database_url: str
) -> None:
    async with _over_a_path(database_url) as (server, path):
        created = await server.create()
        await observer.execute(HALT)
        waiting = asyncio.ensure_future(server.call("awf.task/long-poll", taskDefinitions=["test/task"], start=True))
        (process,) = await _halted(observer)
        path.cut()
        await until(lambda: observer.fetchval(_LOOKS_FOR, process))
        await _go_on(observer)
        (task,) = (await waiting)["resources"]
    assert (task["id"], task["retryCount"]) == (created["id"], 1)
    assert [await _logged(observer, method) for method in ("poll", "release", "poll")] == [2, 1, 2]


async def test_a_claim_that_was_rolled_back_is_sent_again(still: Headless, observer: asyncpg.Connection) -> None:
    created = await still.create()
    await observer.execute(HALT)
    waiting = asyncio.ensure_future(still.call("awf.task/long-poll", taskDefinitions=["test/task"]))
    for process in await _halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await _go_on(observer)
    (task,) = (await waiting)["resources"]
    assert task["id"] == created["id"]
    assert await _logged(observer, "poll") == 1
