"""Times to the database and back, on connections as the service makes them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest

from taskrpc.store.lane import Lane


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Any]:
    """A connection of a lane."""
    lane = Lane(database_url, 1, {}, 30.0)
    await lane.wait_turn(5)
    yield await lane.take()
    lane.terminate()


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 22, 12, 30, 0, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_a_time_comes_back_as_it_was_given_in_utc(connection: Any, at: datetime) -> None:
    (row,) = await connection.fetch("select $1::timestamptz as at, $2::timestamptz[] as all", at, [at, None])
    assert (row["at"], row["all"]) == (at, [at, None])
    assert row["at"].tzinfo is UTC


async def test_a_time_is_the_one_that_postgresql_writes(connection: Any) -> None:
    at = datetime(2026, 11, 22, 12, 30, 45, 678901, tzinfo=UTC)
    (row,) = await connection.fetch("select to_char($1 at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as text", at)
    assert row["text"] == "2026-11-22 12:30:45.678901"


async def test_equal_times_of_an_answer_are_one_object(connection: Any) -> None:
    rows = await connection.fetch("select now() as made, now() as changed from generate_series(1, 2)")
    assert len({id(at) for row in rows for at in row.values()}) == 1


async def test_a_time_without_a_zone_is_refused(connection: Any) -> None:
    with pytest.raises(asyncpg.DataError):
        await connection.fetch("select $1::timestamptz", datetime(2026, 11, 22))


async def test_infinity_is_an_error_that_the_connection_survives(connection: Any) -> None:
    with pytest.raises(OverflowError):
        await connection.fetch("select 'infinity'::timestamptz as at")
    assert [row["one"] for row in await connection.fetch("select 1 as one")] == [1]
