"""A database URL with several hosts, some of which do not answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from taskrpc.store.database import AWAY
from taskrpc.store.hosts import connect, single_hosts
from tests.databases import connected
from tests.services import Rpc, running_service, until
from tests.system.lossy import lossy_path

_SOCKET = ".s.PGSQL.5432"
# What a session meets whose node has become a standby, or is told to take no writes.
_DEMOTED = """
create function taskrpc.test_demoted() returns trigger language plpgsql as $$
begin raise exception 'cannot execute INSERT in a read-only transaction' using errcode = '25006'; end $$;
create trigger test_demoted before insert on taskrpc.task for each row execute function taskrpc.test_demoted();
"""


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@a:5432/x?ssl=off", ["postgresql://u:p@a:5432/x?ssl=off"]),
        ("postgresql:///x?host=/a&port=1", ["postgresql:///x?host=/a&port=1"]),
        (
            "postgresql://u:p@a:1,b/x",
            [
                "postgresql://u:p@a:1/x?target_session_attrs=read-write",
                "postgresql://u:p@b/x?target_session_attrs=read-write",
            ],
        ),
        (
            "postgresql://a,b/x?target_session_attrs=any",
            ["postgresql://a/x?target_session_attrs=any", "postgresql://b/x?target_session_attrs=any"],
        ),
        (
            "postgresql:///x?host=a,b&port=1,2&target_session_attrs=any",
            [
                "postgresql:///x?host=a&port=1&target_session_attrs=any",
                "postgresql:///x?host=b&port=2&target_session_attrs=any",
            ],
        ),
    ],
)
def test_each_host_has_a_url(url: str, hosts: list[str]) -> None:
    assert single_hosts(url) == hosts


@contextlib.asynccontextmanager
async def silent(place: Path) -> AsyncIterator[Path]:
    """A host that takes connections and never says anything, as one that is frozen."""
    writers: list[asyncio.StreamWriter] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_unix_server(say_nothing, place / _SOCKET):
        yield place
        for writer in writers:
            writer.transport.abort()


def _at(url: str, *places: Path | str) -> str:
    hosts = quote(",".join(map(str, places)), safe="/,")
    return f"{url.partition('?')[0]}?host={hosts}&port=5432"


def _place(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0]


@pytest.mark.parametrize("first", [True, False])
async def test_a_host_that_says_nothing_is_in_nobodys_way(database_url: str, tmp_path: Path, first: bool) -> None:
    (tmp_path / "silent").mkdir()
    async with silent(tmp_path / "silent") as place:
        places = [place, _place(database_url)]
        url = _at(database_url, *(places if first else reversed(places)))
        async with asyncio.timeout(4), running_service(url) as service, Rpc(service.url) as rpc:
            await rpc.create()


async def test_calls_go_on_at_the_other_host_when_one_goes_away(database_url: str, tmp_path: Path) -> None:
    starting_up = ("57P03", "the database system is starting up")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with lossy_path(database_url, first) as path, lossy_path(database_url, second) as other_path:
        other_path.refusal = starting_up
        async with running_service(_at(database_url, first, second)) as service, Rpc(service.url) as rpc:
            await rpc.create()
            path.refusal, other_path.refusal = starting_up, None
            path.cut()
            reply = await rpc.call("awf.task/create-and-execute", definition="test/task", id="t")
            assert reply.status in (200, 503)  # the first one that meets a broken connection may find nobody yet
            assert await service.database.wait_available(10)
            await rpc.create()


async def test_a_host_that_takes_writes_at_last_is_found_while_another_says_nothing(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "silent").mkdir()
    (tmp_path / "standby").mkdir()
    async with silent(tmp_path / "silent") as place, lossy_path(database_url, tmp_path / "standby") as path:
        path.refusal = ("57P03", "the database system is starting up")
        connecting = asyncio.ensure_future(connect(_at(database_url, place, tmp_path / "standby"), timeout=60))
        await until(lambda: path.refused > 0)
        path.refusal = None
        async with asyncio.timeout(20):
            await (await connecting).close()


async def test_lists_are_read_at_the_host_that_takes_writes(database_url: str, tmp_path: Path) -> None:
    url = _at(database_url, tmp_path, _place(database_url))
    async with running_service(url) as service, Rpc(service.url) as rpc:
        await rpc.create()
        assert (await rpc.call("awf.task/list")).result["total"] == 1


async def test_a_node_that_takes_no_writes_any_more_is_an_outage(database_url: str) -> None:
    async with running_service(database_url) as service, Rpc(service.url) as rpc:
        async with connected(database_url) as connection:
            await connection.execute(_DEMOTED)
            reply = await rpc.call("awf.task/create-and-execute", definition="test/task", id="t")
            assert (reply.status, reply.error["type"]) == (503, "unavailable")
            await connection.execute("drop trigger test_demoted on taskrpc.task")
        assert await service.database.wait_available(10)
        await rpc.create(id="t")


async def test_when_no_host_answers_the_database_is_away(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(AWAY):
        await connect(_at(database_url, tmp_path / "a", tmp_path / "b"), timeout=2)
