"""Times between the service and PostgreSQL: equal ones become the same object.

A row of a task has half a dozen times, most of them the moment of the statement that wrote it, and the rows beside it
have the same. asyncpg computes each of them anew, which takes longer than to find one that is known.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_KEPT: Final = 4096  # at some 300 bytes each


@lru_cache(_MOST_KEPT)
def _decoded(since_epoch: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=since_epoch[0])


def _encoded(at: datetime) -> tuple[int]:
    return ((at - _EPOCH) // _MICROSECOND,)


async def share_times(connection: Any) -> None:
    """Has an asyncpg connection read each `timestamptz` as a datetime in UTC, and equal ones as the same object.

    A statement raises asyncpg.DataError then for a datetime that is not aware, and OverflowError where it returns
    `infinity`.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encoded, decoder=_decoded, format="tuple"
    )
