"""Migrations: each applies once, whole or not at all, and together they give the schema that schema.txt describes."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from taskrpc.store import migrate as migrations
from taskrpc.store.migrate import applied, available, migrate
from tests.conftest import Template
from tests.databases import connected, copy_of
from tests.store.catalog import SCHEMA, described

NAMES = [name for name, _ in available()]


@pytest.fixture
async def fresh_url(database_template: Template) -> AsyncIterator[str]:
    """The URL of an empty database."""
    async with copy_of(database_template.server_url, "template0") as url:
        yield url


async def test_the_schema_is_the_one_that_is_checked_in(observer: asyncpg.Connection) -> None:
    found = await described(observer)
    assert found == SCHEMA.read_text(), "was a migration added? then: python -m tests.store.catalog"


async def test_many_that_migrate_a_fresh_database_at_once_do_it_once(fresh_url: str) -> None:
    done = await asyncio.gather(*(migrate(fresh_url) for _ in range(5)))
    assert sorted(done) == [[], [], [], [], NAMES]
    async with connected(fresh_url) as connection:
        assert await applied(connection) == NAMES
        assert await described(connection) == SCHEMA.read_text()


async def test_a_database_without_the_service_has_no_migration(fresh_url: str) -> None:
    async with connected(fresh_url) as connection:
        assert await applied(connection) == []


async def test_a_migration_that_fails_leaves_the_database_as_the_one_before_it_did(
    database_url: str, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = [
        ("9001_add_kept", "create table taskrpc.kept (); insert into taskrpc.kept default values;"),
        ("9002_add_lost", "create table taskrpc.lost (); select 1/0;"),
        ("9003_never_reached", "create table taskrpc.never ();"),
    ]
    monkeypatch.setattr(migrations, "available", lambda: [*available(), *further])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url)
    assert await applied(observer) == [*NAMES, "9001_add_kept"]
    tables = [
        await observer.fetchval("select to_regclass($1)", f"taskrpc.{name}") for name in ("kept", "lost", "never")
    ]
    assert tables == ["taskrpc.kept", None, None]


def test_migrations_are_numbered_and_no_number_is_there_twice() -> None:
    numbers = [int(name[:4]) for name in NAMES]
    assert numbers == sorted(set(numbers))
