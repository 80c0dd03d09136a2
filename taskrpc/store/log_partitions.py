"""The log's partitions, a day each: made ahead, dropped whole when they are old."""

import logging
from datetime import date, timedelta
from typing import Final

import asyncpg

from taskrpc.store.database import Database
from taskrpc.store.statements import SQL

log = logging.getLogger(__name__)

DAYS_AHEAD: Final = 3
_PREFIX: Final = "log_"
# Both take a lock on the whole log for a moment; rather an hour later than in everybody's way.
_PATIENCE: Final = "set local lock_timeout = '250ms'"


def _name(day: date) -> str:
    return f"{_PREFIX}{day:%Y%m%d}"


def _day(name: str) -> date | None:
    digits = name.removeprefix(_PREFIX)
    return date.fromisoformat(digits) if digits.isdigit() and len(digits) == 8 else None


async def keep(database: Database, retention_days: int) -> None:
    """Makes the partitions of today and the next days, and drops those beyond the retention."""
    today: date = (await database.fetch("today"))[0]["day"]
    existing = {row["name"] for row in await database.fetch("log_partitions")}
    for ahead in range(DAYS_AHEAD + 1):
        day = today + timedelta(days=ahead)
        if _name(day) not in existing:
            await _change(
                database,
                f"create table if not exists taskrpc.{_name(day)} partition of taskrpc.log "
                f"for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')",
            )
    for name in sorted(existing):
        day_of = _day(name)
        if day_of is not None and day_of < today - timedelta(days=retention_days):
            await _change(database, f"drop table taskrpc.{name}")
    async with database.connection() as connection:
        await connection.execute(SQL["trim_default_log"], retention_days)


async def _change(database: Database, statement: str) -> None:
    try:
        async with database.connection() as connection:
            await connection.execute(f"{_PATIENCE}; {statement}")
    except (asyncpg.LockNotAvailableError, asyncpg.CheckViolationError, asyncpg.DuplicateTableError) as error:
        # Another server was quicker, somebody holds the log, or the default partition has rows of that day already.
        log.info("not now: %s: %s", statement, error)
