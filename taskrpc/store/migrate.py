"""Applies the numbered SQL files of migrations/ to a database, each once and in order.

Any number of servers may start at the same time on a fresh database: the advisory lock lets one of them migrate while
the others wait and then find nothing to do. (The lock is for comfort; what makes it right is the table of applied
migrations, written in the same transaction.)
"""

from importlib import resources
from typing import Final

import asyncpg

from taskrpc.store.hosts import connect

_CONNECT_SECONDS: Final = 10.0
_LOCK: Final = 0x7461736B  # "task"

_BOOKKEEPING: Final = """
create schema if not exists taskrpc;
create table if not exists taskrpc.migration (
    name text primary key,
    applied_at timestamptz not null default pg_catalog.now()
);
"""


def available() -> list[tuple[str, str]]:
    """All migrations that this version ships: `(name, sql)` in the order in which they apply."""
    folder = resources.files("taskrpc.store") / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8")) for entry in files]


async def applied(connection: asyncpg.Connection) -> list[str]:
    """Names of the migrations that a database has; empty for a database without taskrpc."""
    if await connection.fetchval("select to_regclass('taskrpc.migration') is null"):
        return []
    return [row["name"] for row in await connection.fetch("select name from taskrpc.migration order by name")]


async def migrate(url: str) -> list[str]:
    """Brings the database at `url` up to this version; answers the names of what it applied.

    Raises what asyncpg raises: a migration that fails leaves the database as it was before it.
    """
    connection = await connect(url, timeout=_CONNECT_SECONDS)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_BOOKKEEPING)
        done = set(await applied(connection))
        fresh = [(name, sql) for name, sql in available() if name not in done]
        for name, sql in fresh:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute("insert into taskrpc.migration (name) values ($1)", name)
        return [name for name, _ in fresh]
    finally:
        await connection.close()
