"""Keys in the database."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from taskrpc.core.access import Access, Key, Role
from taskrpc.store.database import Database, Record
from taskrpc.store.hub import CHANNEL
from taskrpc.store.statements import SQL


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as lists show it."""

    access: Access
    created_at: datetime


def _access(row: Record) -> Access:
    definitions = None if row["definitions"] is None else frozenset(row["definitions"])
    return Access(row["name"], row["role"], definitions)


async def read_keys(database: Database) -> dict[bytes, Key]:
    """All keys by their names."""
    rows = await database.fetch("keys")
    return {row["name"].encode(): Key(_access(row), row["digest"]) for row in rows}


async def list_keys(connection: asyncpg.Connection) -> list[KeyRecord]:
    """All keys, by name."""
    return [KeyRecord(_access(row), row["created_at"]) for row in await connection.fetch(SQL["keys"])]


async def add_key(
    connection: asyncpg.Connection, name: str, role: Role, digest: bytes, definitions: Collection[str] | None
) -> bool:
    """Adds a key, and has the servers told; False when the name is taken."""
    given = None if definitions is None else sorted(definitions)
    return await _changed(connection, await connection.fetch(SQL["add_key"], name, role, digest, given))


async def revoke_key(connection: asyncpg.Connection, name: str) -> bool:
    """Deletes a key, and has the servers told; False when there is none of this name."""
    return await _changed(connection, await connection.fetch(SQL["revoke_key"], name))


async def read_callback_secret(connection: asyncpg.Connection) -> bytes:
    """What callbacks are signed with."""
    secret: bytes = await connection.fetchval(SQL["callback_secret"])
    return secret


async def _changed(connection: asyncpg.Connection, rows: list[Record]) -> bool:
    if rows:
        await connection.fetch(SQL["tell_of_keys"], CHANNEL)
    return bool(rows)
