"""What is known of the connections of a pool, and which of them an outage ends."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from taskrpc.store.database import Database
from taskrpc.store.hosts import connect
from taskrpc.store.lane import Backend, Lane


@pytest.fixture
async def lane(database_url: str) -> Lane:
    return Lane(database_url, 2, {}, 30.0)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _idle_backend(lane: Lane) -> Backend:
    connection = await lane.take()
    backend = connection.backend
    lane.put_back(connection)
    return backend


async def test_an_idle_connection_from_before_an_outage_is_not_used_again(lane: Lane) -> None:
    before = await _idle_backend(lane)
    assert await _idle_backend(lane) == before
    lane.renew(_now())
    assert await _idle_backend(lane) != before
    lane.terminate()


async def test_what_hangs_since_before_an_outage_is_cut_off_when_it_is_over(lane: Lane) -> None:
    connection = await lane.take()
    hanging = asyncio.ensure_future(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0)
    lane.renew(_now() + 0.001)
    with pytest.raises(asyncpg.PostgresConnectionError):
        await hanging
    lane.put_back(connection)
    lane.terminate()


async def test_what_began_when_an_outage_was_over_goes_on(lane: Lane) -> None:
    outage = _now() - 1
    connection = await lane.take()
    lane.renew(outage)
    assert await connection.fetchval("select 1") == 1
    lane.put_back(connection)
    lane.terminate()


async def test_another_backend_with_the_same_process_id_is_not_the_one_that_was_lost(
    database_url: str, lane: Lane
) -> None:
    database = Database(database_url)
    await database.open()
    connection = await lane.take()
    process_id, started = connection.backend
    found = [
        (await database.fetch("backend_lives", process_id, at))[0]["lives"]
        for at in (started, started + timedelta(microseconds=1))
    ]
    assert found == [True, False]
    lane.put_back(connection)
    lane.terminate()
    await database.close()


async def test_readers_write_nothing_by_mistake(database_url: str) -> None:
    lane = Lane(database_url, 1, {}, 30.0, reads_only=True)
    connection = await lane.take()
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await connection.execute("update taskrpc.pulse set at = at")
    lane.put_back(connection)
    lane.terminate()


async def test_a_connection_that_is_cut_while_it_is_made_is_made_again(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = iter([True])

    async def connect_once_in_vain(url: str, **options: Any) -> Any:
        connection = await connect(url, **options)
        if next(cut, False):
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        return connection

    monkeypatch.setattr("taskrpc.store.lane.connect", connect_once_in_vain)
    connection = await lane.take()
    assert await connection.fetchval("select 1") == 1
    lane.terminate()
