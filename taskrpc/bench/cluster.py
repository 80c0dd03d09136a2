"""The PostgreSQL of a benchmark: durable, with a database for each run."""

import contextlib
import resource
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from taskrpc.bench.meter import postmaster
from taskrpc.store import log_partitions
from taskrpc.store.database import Database
from taskrpc.store.embedded import EmbeddedPostgres
from taskrpc.store.migrate import migrate

# What is acknowledged is on the disk; sized for a machine that has the memory of a small server.
SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "max_connections": "300",
}
_LOG_DAYS: Final = 30


class Cluster:
    """A server that databases can be made on, with one connection to its maintenance database."""

    def __init__(self, url: str, connection: asyncpg.Connection, first_process: int | None) -> None:
        self.url = url
        self.connection = connection
        self.first_process = first_process
        self._kept: dict[str, str] = {}
        self._template: str | None = None

    def in_database(self, name: str) -> str:
        """The URL of one of its databases."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def version(self) -> str:
        """The version of PostgreSQL."""
        version: str = await self.connection.fetchval("select current_setting('server_version')")
        return version

    async def settings(self) -> dict[str, str]:
        """What of its configuration matters for the figures, durability first."""
        names = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "wal_compression")
        rows = await self.connection.fetch(
            "select name, current_setting(name) as value from unnest($1::text[]) as n(name)", names
        )
        return {row["name"]: row["value"] for row in rows}

    @contextlib.asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """The URL of a database without anything in it, dropped after the block."""
        async with self._created(None) as url:
            yield url

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a fresh database with the schema of the service, dropped after the block."""
        if self._template is None:
            self._template = await self._create(None)
            await _migrated(self.in_database(self._template))
        async with self._created(self._template) as url:
            yield url

    async def kept_database(self, key: str) -> tuple[str, bool]:
        """The URL of a database that stays for the next runs of the same key; whether it is new."""
        new = key not in self._kept
        if new:
            self._kept[key] = await self._create(None)
            await _migrated(self.in_database(self._kept[key]))
        return self.in_database(self._kept[key]), new

    async def settle(self) -> None:
        """Writes what is dirty to the disk, so that no run pays for the one before it."""
        await self.connection.execute("checkpoint")

    @contextlib.asynccontextmanager
    async def _created(self, template: str | None) -> AsyncIterator[str]:
        name = await self._create(template)
        try:
            yield self.in_database(name)
        finally:
            await self._drop(name)

    async def _create(self, template: str | None) -> str:
        name = f"taskrpc_bench_{uuid.uuid4().hex[:12]}"
        await self.connection.execute(f"create database {name} template {template or 'template1'}")
        return name

    async def _drop(self, name: str) -> None:
        await self.connection.execute(f"drop database if exists {name} with (force)")

    async def clean_up(self) -> None:
        """Drops the databases that were kept."""
        for name in (*self._kept.values(), *([self._template] if self._template else [])):
            await self._drop(name)


async def _migrated(url: str) -> None:
    await migrate(url)
    database = Database(url, connections=1)
    await database.open()
    await log_partitions.keep(database, _LOG_DAYS)
    await database.close()


@contextlib.asynccontextmanager
async def opened(database_url: str | None) -> AsyncIterator[Cluster]:
    """The cluster at a URL, whose user may create databases; or a new one, embedded, gone after the block."""
    async with contextlib.AsyncExitStack() as stack:
        if database_url is None:
            directory = _directory()
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            embedded = EmbeddedPostgres(directory / "data", settings=SETTINGS)
            database_url = (await stack.enter_async_context(embedded)).url
        connection = await asyncpg.connect(database_url, timeout=10)
        stack.push_async_callback(connection.close)
        cluster = Cluster(database_url, connection, await postmaster(connection))
        stack.push_async_callback(cluster.clean_up)
        yield cluster


def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="taskrpc-bench-"))
    directory.chmod(0o711)  # the unprivileged account that PostgreSQL runs as has to pass through
    return directory


def allow_many_connections() -> int:
    """Raises the limit of open files for this process and those it starts as far as allowed; answers it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
