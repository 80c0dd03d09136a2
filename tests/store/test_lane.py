"""What is known of the connections of a pool, and which of them an outage ends."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from taskrpc.store.database import Database
from taskrpc.store.lane import Backend, Lane, backend_of


@pytest.fixture
async def lane(database_url: str) -> Lane:
    lane = Lane(database_url, 2, {}, 30.0)
    await lane.open()
    return lane


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _idle_backend(lane: Lane) -> Backend:
    connection = await lane.acquire()
    backend = backend_of(connection)
    await lane.release(connection)
    return backend


async def test_an_idle_connection_from_before_an_outage_is_not_used_again(lane: Lane) -> None:
    before = await _idle_backend(lane)
    assert await _idle_backend(lane) == before
    lane.renew(_now())
    assert await _idle_backend(lane) != before
    lane.close()


async def test_what_hangs_since_before_an_outage_is_cut_off_when_it_is_over(lane: Lane) -> None:
    connection = await lane.acquire()
    hanging = asyncio.ensure_future(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0)
    lane.renew(_now() + 0.001)
    with pytest.raises(asyncpg.PostgresConnectionError):
        await hanging
    await lane.release(connection)
    lane.close()


async def test_what_began_when_an_outage_was_over_goes_on(lane: Lane) -> None:
    outage = _now() - 1
    connection = await lane.acquire()
    lane.renew(outage)
    assert await connection.fetchval("select 1") == 1
    await lane.release(connection)
    lane.close()


async def test_another_backend_with_the_same_process_id_is_not_the_one_that_was_lost(
    database_url: str, lane: Lane
) -> None:
    database = Database(database_url)
    await database.open()
    connection = await lane.acquire()
    process_id, started = backend_of(connection)
    found = [
        (await database.fetch("backend_lives", process_id, at))[0]["lives"]
        for at in (started, started + timedelta(microseconds=1))
    ]
    assert found == [True, False]
    await lane.release(connection)
    lane.close()
    await database.close()


async def test_readers_write_nothing_by_mistake(database_url: str) -> None:
    lane = Lane(database_url, 1, {}, 30.0, reads_only=True)
    await lane.open()
    connection = await lane.acquire()
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await connection.execute("update taskrpc.pulse set at = at")
    await lane.release(connection)
    lane.close()


async def test_a_connection_may_be_given_back_while_an_outage_ends(lane: Lane) -> None:
    connection = await lane.acquire()
    releasing = asyncio.ensure_future(lane.release(connection))
    while not releasing.done():
        lane.renew(_now())
        await asyncio.sleep(0)
    await releasing
    lane.close()
