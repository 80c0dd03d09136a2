"""The databases of the tests: a server, a migrated template, a fresh copy per test, a clock to be moved.

Tests take the fixtures `database_url` and `clock` of conftest.py, which are built of this.
"""

import contextlib
import datetime
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from taskrpc.store.embedded import EmbeddedPostgres

GIVEN_URL: Final = "TASKRPC_TEST_DATABASE_URL"


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The URL of a server for tests, whose user may create databases.

    It is the one that TASKRPC_TEST_DATABASE_URL names, or an embedded one, which ends with the block. The
    embedded one runs without fsync, whose cost buys a test nothing; what commits and sees what is unchanged.
    """
    if given := os.environ.get(GIVEN_URL):
        yield given
        return
    directory = temporary_directory()
    try:
        async with EmbeddedPostgres(directory / "data", settings={"fsync": "off"}) as embedded:
            yield embedded.url
    finally:
        shutil.rmtree(directory)


def temporary_directory() -> Path:
    """A new directory that also the unprivileged account of an embedded server can pass through."""
    directory = Path(tempfile.mkdtemp(prefix="taskrpc-test-"))
    directory.chmod(0o711)
    return directory


def in_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextlib.asynccontextmanager
async def template(server_url: str) -> AsyncIterator[str]:
    """The name of a migrated database that can be copied; it is dropped after the block."""
    from taskrpc.store.migrate import migrate

    name = f"taskrpc_test_{uuid.uuid4().hex}"
    async with _created(server_url, name):
        await migrate(in_database(server_url, name))
        yield name


@contextlib.asynccontextmanager
async def copy_of(server_url: str, template_name: str) -> AsyncIterator[str]:
    """The URL of a fresh copy of a template; it is dropped after the block, whoever is still connected."""
    name = f"{template_name}_{uuid.uuid4().hex[:8]}"
    # Without fsync copying the files takes 7 ms, writing them through the log 57 ms.
    async with _created(server_url, name, f"template {template_name} strategy file_copy"):
        yield in_database(server_url, name)


@contextlib.asynccontextmanager
async def empty(server_url: str) -> AsyncIterator[str]:
    """The URL of a database without any tables; it is dropped after the block, whoever is still connected."""
    name = f"taskrpc_test_{uuid.uuid4().hex}"
    async with _created(server_url, name):
        yield in_database(server_url, name)


@contextlib.asynccontextmanager
async def _created(server_url: str, name: str, options: str = "") -> AsyncIterator[None]:
    async with connected(server_url) as connection:
        await connection.execute(f"create database {name} {options}")
    try:
        yield
    finally:
        async with connected(server_url) as connection:
            await connection.execute(f"drop database {name} with (force)")


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that is closed after the block."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


class Clock:
    """The clock of one database, which a test moves instead of waiting.

    It runs on from wherever it was moved to. A database's clock is the only one of the service, so all
    servers on it see the same time.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None:
        """Replace `taskrpc.now()` by a clock that can be moved; STABLE as it was, so that plans stay."""
        async with connected(self.url) as connection:
            await connection.execute(
                """
                create table if not exists taskrpc.test_clock (offset_ interval not null);
                insert into taskrpc.test_clock select '0' where not exists (select from taskrpc.test_clock);
                create or replace function taskrpc.now() returns timestamptz language sql stable parallel safe
                as $$ select pg_catalog.now() + offset_ from taskrpc.test_clock $$;
                """
            )

    async def stop(self) -> None:
        """Has it stand still from now on, but for when it is moved."""
        async with connected(self.url) as connection:
            await connection.execute(
                """
                alter table taskrpc.test_clock add column stopped_at timestamptz;
                update taskrpc.test_clock set stopped_at = pg_catalog.now();
                create or replace function taskrpc.now() returns timestamptz language sql stable parallel safe
                as $$ select stopped_at + offset_ from taskrpc.test_clock $$;
                """
            )

    async def now(self) -> datetime.datetime:
        """The time that it shows."""
        async with connected(self.url) as connection:
            at: datetime.datetime = await connection.fetchval("select taskrpc.now()")
            return at

    async def move_to(self, text: str) -> None:
        """Move the clock forward to a time, which is UTC."""
        at = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
        await self.advance((at - await self.now()).total_seconds())

    async def advance(self, seconds: float, *, outage: bool = False) -> None:
        """Move the clock forward; unless an `outage` is to be shown, the servers' pulse moves with it.

        A pulse that is long ago means that the database, or all servers, were away.
        """
        by = datetime.timedelta(seconds=seconds)
        async with connected(self.url) as connection, connection.transaction():
            await connection.execute("update taskrpc.test_clock set offset_ = offset_ + $1", by)
            if not outage:
                await connection.execute("update taskrpc.pulse set at = at + $1", by)
