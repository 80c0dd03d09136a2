"""Times as they come from the database and go there: each is made once.

A row of a task has half a dozen, most of them the moment of the statement that wrote it, so the rows of one answer
share them. asyncpg adds up an object of its own for each, which took the server a twentieth of its processor time.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_KEPT: Final = 4096


@lru_cache(_MOST_KEPT)
def _decoded(since_epoch: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=since_epoch[0])


def _encoded(at: datetime) -> tuple[int]:
    return ((at - _EPOCH) // _MICROSECOND,)


async def share_times(connection: Any) -> None:
    """Has an asyncpg connection read every `timestamptz` as a datetime in UTC that equal ones share.

    For finite times only: `infinity` is an OverflowError, and a datetime that is not aware a TypeError.
    """
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encoded, decoder=_decoded, format="tuple"
    )
