"""Connections that are used over and over: which one comes next, and which are not kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from taskrpc.store import lane as lanes
from taskrpc.store.lane import Lane


@pytest_asyncio.fixture
async def lane(database_url: str) -> AsyncIterator[Lane]:
    """A lane of two connections."""
    lane = Lane(2, lambda: asyncpg.connect(database_url))
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
