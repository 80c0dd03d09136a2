"""The connections of a lane: which one comes next, which are not kept, what is known of them, and which an outage
ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from taskrpc.store import lane as lanes
from taskrpc.store.database import Database
from taskrpc.store.hosts import connect
from taskrpc.store.lane import Backend, Lane


@pytest.fixture
async def lane(database_url: str) -> AsyncIterator[Lane]:
    """A lane of two connections."""
    lane = Lane(database_url, 2, {}, 30.0)
    yield lane
    lane.terminate()


async def _taken(lane: Lane) -> Any:
    await lane.wait_turn(5)
    return await lane.take()


def _put_back(lane: Lane, connection: Any) -> None:
    lane.put_back(connection)
    lane.end_turn()


async def test_the_connection_that_was_used_last_is_used_next(lane: Lane) -> None:
    first, second = await _taken(lane), await _taken(lane)
    assert first is not second
    _put_back(lane, second)
    _put_back(lane, first)
    assert await _taken(lane) is first
    assert await _taken(lane) is second


async def test_who_comes_beyond_the_size_waits_for_a_turn(lane: Lane) -> None:
    taken = [await _taken(lane), await _taken(lane)]
    with pytest.raises(TimeoutError):
        await lane.wait_turn(0.001)
    third = asyncio.ensure_future(_taken(lane))
    _put_back(lane, taken[0])
    assert await third is taken[0]


async def test_a_connection_that_broke_is_not_used_again(lane: Lane) -> None:
    broken = await _taken(lane)
    _put_back(lane, broken)
    broken.terminate()
    fresh = await _taken(lane)
    assert fresh is not broken
    assert await fresh.fetchval("select 1") == 1


async def test_a_connection_in_the_midst_of_a_transaction_is_closed(lane: Lane) -> None:
    connection = await _taken(lane)
    await connection.execute("begin")
    _put_back(lane, connection)
    assert connection.is_closed()
    assert await _taken(lane) is not connection


async def test_a_connection_that_was_not_needed_for_long_is_closed(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    idle, used = await _taken(lane), await _taken(lane)
    _put_back(lane, idle)
    monkeypatch.setattr(lanes, "_IDLE_SECONDS", -1)
    _put_back(lane, used)
    assert idle.is_closed()


async def test_at_the_end_all_are_closed_also_those_in_use(lane: Lane) -> None:
    idle, used = await _taken(lane), await _taken(lane)
    _put_back(lane, idle)
    lane.terminate()
    assert idle.is_closed()
    assert used.is_closed()
    _put_back(lane, used)
    assert await (await _taken(lane)).fetchval("select 1") == 1


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


async def test_what_hangs_since_before_an_outage_is_cut_off_when_it_is_over(lane: Lane) -> None:
    connection = await lane.take()
    hanging = asyncio.ensure_future(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0)
    lane.renew(_now() + 0.001)
    with pytest.raises(asyncpg.PostgresConnectionError):
        await hanging


async def test_what_began_when_an_outage_was_over_goes_on(lane: Lane) -> None:
    outage = _now() - 1
    connection = await lane.take()
    lane.renew(outage)
    assert await connection.fetchval("select 1") == 1


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


async def test_a_connection_that_was_asked_for_during_an_outage_is_made_again_after_it(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def connect_through_an_outage(url: str, **options: Any) -> Any:
        asked.append(await connect(url, **options))
        if len(asked) == 1:
            lane.renew(_now())
        return asked[-1]

    monkeypatch.setattr("taskrpc.store.lane.connect", connect_through_an_outage)
    assert await lane.take() is asked[1]
    assert asked[0].is_closed()
