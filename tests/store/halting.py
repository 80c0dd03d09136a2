"""Transactions that come to a halt before their commit, and connections that break meanwhile."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest

from tests.databases import temporary_directory
from tests.engine.headless import Headless, headless
from tests.system.lossy import LossyPath, lossy_path
from tests.system.waiting import until

# Whoever changes a task comes to a halt before its commit, until the lock is free.
HALT: Final = """
create function taskrpc.halt() returns trigger language plpgsql as $$
begin perform pg_advisory_xact_lock(7); return null; end $$;
create constraint trigger halt after insert or update on taskrpc.task
deferrable initially deferred for each row execute function taskrpc.halt();
select pg_advisory_lock(7);
"""
HALTED: Final = "select array_agg(distinct pid) from pg_locks where locktype = 'advisory' and not granted"
_LOOKS_FOR: Final = """
select count(*) from pg_stat_activity
where query like '%from pg_stat_activity where pid = $1%' and pid <> pg_backend_pid() and $1::int is not null
"""


async def halted(observer: asyncpg.Connection) -> list[int]:
    """The processes that have come to the halt, when there is one."""

    async def processes() -> list[int] | None:
        pids: list[int] | None = await observer.fetchval(HALTED)
        return pids

    return await until(processes)


async def go_on(observer: asyncpg.Connection) -> None:
    """Lets them commit."""
    await observer.execute("select pg_advisory_unlock(7)")


@contextlib.asynccontextmanager
async def over_a_path(database_url: str) -> AsyncIterator[tuple[Headless, LossyPath]]:
    """A server whose connections to its database the test can cut while the database goes on with its work."""
    if "host=/" not in database_url.replace("%2F", "/"):
        pytest.skip("the path leads through a Unix socket")
    directory = temporary_directory()
    try:
        async with lossy_path(database_url, directory) as path, headless(path.url, loops=False) as server:
            yield server, path
    finally:
        shutil.rmtree(directory)


async def look_for(observer: asyncpg.Connection, process: int) -> None:
    """Returns when a server looks whether a process is still at work."""
    await until(lambda: observer.fetchval(_LOOKS_FOR, process))
