"""Lists and searches have connections and a time of their own: the queue does not notice them."""

import asyncio

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store import database
from taskrpc.store.statements import SQL
from tests.databases import connected
from tests.engine.headless import headless
from tests.system.waiting import until

SLOW = """
create or replace function taskrpc.value_at(t taskrpc.task, path text[]) returns text language plpgsql stable
as $$ begin perform pg_advisory_xact_lock_shared(7); return t.name; end $$;
"""


@pytest.fixture(autouse=True)
def _short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database._READ_SETTINGS, "statement_timeout", "500")


async def test_searches_that_take_too_long_are_refused_and_the_queue_goes_on_meanwhile(
    database_url: str, observer: asyncpg.Connection
) -> None:
    await observer.execute(SLOW)
    async with headless(database_url, loops=False) as server:
        await server.create()
        await observer.execute("select pg_advisory_lock(7)")
        filter_ = {"includeDefinitions": ["test/task"]}
        lists = [asyncio.ensure_future(server.call("awf.task/list", filter=filter_)) for _ in range(3)]
        await until(
            lambda: observer.fetchval("select count(*) from pg_locks where locktype = 'advisory' and not granted")
        )
        (task,) = await server.poll(start=True)
        await server.of("success", task)
        assert not any(listing.done() for listing in lists)
        refused = await asyncio.gather(*lists, return_exceptions=True)
        assert {str(error) for error in refused} == {
            "unavailable: The search took longer than 5 s: narrow its filter; nothing was done, try again"
        }
        await observer.execute("select pg_advisory_unlock(7)")
        assert (await server.call("awf.task/list", filter=filter_))["total"] == 1


async def test_reading_cannot_write(database_url: str) -> None:
    async with headless(database_url, loops=False) as server:
        with pytest.raises(TaskRpcError, match="unavailable"):
            await server.parts.database.read("beat", 5000.0)


async def test_a_connection_that_breaks_while_reading_is_said_to_have_done_nothing(
    database_url: str, observer: asyncpg.Connection
) -> None:
    await observer.execute(SLOW)
    async with headless(database_url, loops=False) as server, connected(database_url) as holder:
        await server.create()
        await holder.execute("select pg_advisory_lock(7)")
        listing = asyncio.ensure_future(server.call("awf.task/list", filter={"includeDefinitions": ["a"]}))
        waiting = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted"
        await until(lambda: observer.fetchval(waiting))
        with pytest.raises(TaskRpcError) as caught:
            await listing
        assert caught.value.type == "unavailable"
        await until(lambda: server.parts.database.wait_available(1))
        await server.create()


async def test_a_correlation_id_is_looked_up_in_its_index(observer: asyncpg.Connection) -> None:
    await observer.execute(
        "insert into taskrpc.task (id, kind, name, rev, status, rank, created_at, updated_at, submission) "
        "select n, 'task', 'd', 0, 'ready', 0, now(), now(), json_build_object('correlationId', 'c' || n) "
        "from generate_series(1, 20000) n"
    )
    await observer.execute("analyze taskrpc.task")
    arguments = "array['task'], null, null, null, null, null, array[]::text[], array[]::text[], 'c7', 100"
    await observer.execute(f"prepare counting as {SQL['list_total']}")
    plan = await observer.fetch(f"explain (analyze) execute counting({arguments})")
    assert "task_correlation" in "\n".join(line[0] for line in plan)
