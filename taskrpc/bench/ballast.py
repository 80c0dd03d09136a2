"""What lies in a database before a load comes: done and ready tasks by the million, an old snapshot."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import asyncpg
import orjson

from taskrpc.bench.messages import DEFINITION, payload

_ROWS_AT_ONCE: Final = 250_000

# The ids are UUIDv7 of long ago, in the order of creation, as those of a queue that has been in use are.
_FILL: Final = """
insert into taskrpc.task (
    id, kind, name, rev, status, outcome, rank, queued, ready_at, created_at, updated_at, version, retry_count,
    exec_id, bytes, params, result
)
select
    format('%s-%s-7000-8000-%s', left(number, 8), substr(number, 9, 4), lpad(to_hex(n), 12, '0')),
    'task', $1, 0, case when $2 then 'done' else 'ready' end, case when $2 then 'succeeded' end, 0, not $2,
    taskrpc.now(), taskrpc.now(), taskrpc.now(), case when $2 then 4 else 1 end, $2::int,
    case when $2 then gen_random_uuid()::text end, length($3), $3::json, case when $2 then $4::json end
from generate_series($5::bigint, $6::bigint) as n cross join lateral (select lpad(to_hex(n), 12, '0')) x(number)
"""


async def fill(url: str, done: int, ready: int, tell: Callable[[str], None]) -> None:
    """Puts done and ready tasks into a database with the schema of the service; `tell` hears how far it is."""
    params = orjson.dumps(payload(300)).decode()
    connection = await asyncpg.connect(url, command_timeout=None)
    try:
        first = 0
        for is_done, rows in ((True, done), (False, ready)):
            for begun in range(first, first + rows, _ROWS_AT_ONCE):
                last = min(begun + _ROWS_AT_ONCE, first + rows) - 1
                await connection.execute(_FILL, DEFINITION, is_done, params, '{"imported":1234}', begun, last)
                tell(f"{last + 1:,} of {done + ready:,} tasks are put into the database")
            first += rows
        await connection.execute("vacuum analyze taskrpc.task")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def old_snapshot(url: str) -> AsyncIterator[None]:
    """A transaction that has read and stays open: no row that dies after it can be cleared away."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("select count(*) from taskrpc.definition")
            yield
    finally:
        await connection.close()
