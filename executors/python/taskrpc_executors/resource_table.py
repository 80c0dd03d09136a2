"""The table that imported resources end up in, and the one transaction that an import is.

Rows are copied into a staging table which nobody else sees and merged from there, so that an import which
dies midway leaves nothing, and one that is run again leaves every resource once.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from .bad_input import bad_line
from .resources import Resource

# Two workers may make the table at the same moment, which "if not exists" alone does not survive.
_CREATE: Final = """
select pg_advisory_xact_lock(7384193650);
create schema if not exists taskrpc_import;
create table if not exists taskrpc_import.resource (
    resource_type text not null,
    id text not null,
    resource jsonb not null,
    imported_at timestamptz not null default now(),
    primary key (resource_type, id)
)
"""

_STAGE: Final = "create temporary table staged (line bigint, id text, resource jsonb) on commit drop"

# In the order of the ids: two imports of the same resources then wait for each other, but never in a ring.
_MERGE: Final = """
with newest as materialized (
    select distinct on (id) id, resource from staged order by id, line desc
), written as (
    insert into taskrpc_import.resource as stored (resource_type, id, resource)
    select $1, id, resource from newest order by id
    on conflict (resource_type, id) do update set resource = excluded.resource, imported_at = now()
    where stored.resource <> excluded.resource
)
select count(*) from newest
"""

_COPIED_LINE: Final = re.compile(r"COPY staged, line (\d+)")


class Import:
    """An import under way: stage rows, then merge them."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", url: str) -> None:
        self._connection = connection
        self._url = url

    async def stage(self, resources: Sequence[Resource]) -> None:
        """Copy rows to the staging table; raises `TaskRpcError("bad-input")` for one that it refuses."""
        try:
            await self._connection.copy_records_to_table("staged", records=resources)
        except asyncpg.DataError as error:
            place = _COPIED_LINE.search(str(error.context))
            row = int(place[1]) - 1 if place else 0
            raise bad_line(self._url, resources[row].line, f"PostgreSQL refuses it: {error}") from None

    async def merge(self, resource_type: str) -> int:
        """Put the rows into the table; how many different resources they were."""
        merged: int = await self._connection.fetchval(_MERGE, resource_type)
        return merged


@asynccontextmanager
async def importing(database_url: str, url: str) -> AsyncIterator[Import]:
    """A connection and a transaction for one import, committed at the end of the block."""
    connection = await asyncpg.connect(database_url)
    try:
        if await connection.fetchval("select to_regclass('taskrpc_import.resource')") is None:
            async with connection.transaction():
                await connection.execute(_CREATE)
        async with connection.transaction():
            await connection.execute(_STAGE)
            yield Import(connection, url)
    finally:
        await connection.close()


async def count_resources(database_url: str) -> dict[str, int]:
    """How many resources of each type have been imported."""
    connection = await asyncpg.connect(database_url)
    try:
        if await connection.fetchval("select to_regclass('taskrpc_import.resource')") is None:
            return {}
        counted = "select resource_type, count(*) from taskrpc_import.resource group by 1 order by 1"
        return {row["resource_type"]: row["count"] for row in await connection.fetch(counted)}
    finally:
        await connection.close()
