"""Hints between servers: told to those who wait, gathered, and never relied on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import orjson
import pytest

from taskrpc.core.model import Queue
from taskrpc.store.hub import CHANNEL, PAUSE_SECONDS, Hub
from tests.services import until
from tests.system.waiting import Stopwatch


class Server:
    """What a hub tells its server, and what that waits for."""

    def __init__(self, *wants: str) -> None:
        self.wants = set(wants)
        self.queued: list[Any] = []
        self.ended: list[Any] = []
        self.told: list[str] = []
        self.definitions = 0
        self.keys = 0

    def queued_elsewhere(self, queues: Iterable[Queue] | None) -> None:
        self.queued.append(None if queues is None else sorted(queues))

    def ended_elsewhere(self, ids: Iterable[str] | None) -> None:
        self.ended.append(None if ids is None else sorted(ids))

    def told_elsewhere(self, ids: Iterable[str]) -> None:
        self.told += sorted(ids)

    def definitions_changed(self) -> None:
        self.definitions += 1

    def keys_changed(self) -> None:
        self.keys += 1

    def interests(self) -> set[str]:
        return self.wants


@contextlib.asynccontextmanager
async def _hub(url: str, server: Server) -> AsyncIterator[Hub]:
    hub = Hub(url, server)
    running = asyncio.ensure_future(hub.run())
    try:
        await until(lambda: server.definitions > 0)  # it listens: everybody was told to look
        yield hub
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.fixture
async def overheard(observer: asyncpg.Connection) -> list[dict[str, Any]]:
    """All hints of this database, as they come."""
    messages: list[dict[str, Any]] = []
    await observer.add_listener(CHANNEL, lambda *message: messages.append(orjson.loads(message[3])))
    return messages


async def test_who_waits_is_told_of_tasks_and_ends_elsewhere(
    database_url: str, overheard: list[dict[str, Any]]
) -> None:
    there = Server("queued", "ended")
    async with _hub(database_url, Server()) as here, _hub(database_url, there):
        await until(lambda: any("wants" in message for message in overheard))
        await until(lambda: there.queued == there.ended == [None, None])
        here.queued([("task", "a"), ("task", "b")])
        here.ended(["t1"])
        await until(lambda: there.ended[-1:] == [["t1"]])
        assert there.queued == [None, None, [("task", "a"), ("task", "b")]]


async def test_who_begins_to_wait_is_told_to_look_since_what_happened_just_before_was_told_to_nobody(
    database_url: str, overheard: list[dict[str, Any]]
) -> None:
    there = Server()
    async with _hub(database_url, Server()) as here, _hub(database_url, there) as hub:
        here.ended(["t1"])
        there.wants.add("ended")
        hub.interest("ended")
        await until(lambda: there.ended == [None, None])
        here.ended(["t2"])
        await until(lambda: there.ended == [None, None, ["t2"]])


async def test_nothing_is_told_where_nobody_else_waits(
    database_url: str, overheard: list[dict[str, Any]], observer: asyncpg.Connection
) -> None:
    asking = Server("queued")
    async with _hub(database_url, asking) as here, _hub(database_url, Server()):
        await until(lambda: asking.queued == [None, None])  # the other one has heard, and tells it to look
        here.queued([("task", "a")])
        here.definitions_changed()
        await until(lambda: any("definitions" in message for message in overheard))
    (definitions,) = [message for message in overheard if "definitions" in message]
    assert not any("queued" in message for message in overheard if message["from"] == definitions["from"])


async def test_hints_are_gathered_so_that_a_burst_costs_few(database_url: str, overheard: list[dict[str, Any]]) -> None:
    there = Server("queued")
    async with _hub(database_url, Server()) as here, _hub(database_url, there):
        await until(lambda: there.queued == [None, None])
        clock = Stopwatch()
        for n in range(300):
            here.queued([("task", f"q{n}")])
            await asyncio.sleep(0)
            if n % 100 == 0:
                await asyncio.sleep(PAUSE_SECONDS / 4)
        await until(lambda: sum(len(queues or ()) for queues in there.queued) == 300)
        hints = [message for message in overheard if "queued" in message]
        assert len(hints) <= 2 + clock.seconds / PAUSE_SECONDS


async def test_a_hint_that_is_too_long_for_one_message_says_look_for_yourself(database_url: str) -> None:
    there = Server("queued")
    async with _hub(database_url, Server()) as here, _hub(database_url, there):
        await until(lambda: there.queued == [None, None])
        here.queued([("task", f"queue-{n:04}" + "x" * 100) for n in range(100)])
        await until(lambda: there.queued == [None, None, None])


async def test_a_broken_connection_is_made_anew_and_then_everybody_looks(
    database_url: str, observer: asyncpg.Connection
) -> None:
    server = Server("queued")
    async with _hub(database_url, server):
        await observer.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        await until(lambda: server.definitions == 2)
    assert server.queued == [None, None]
    assert server.ended == [None, None]


@pytest.mark.parametrize("payload", ["", "not JSON", "[1]", '"text"', "{}", '{"queued": null}'])
async def test_what_applications_say_on_the_channel_does_no_harm(
    database_url: str, observer: asyncpg.Connection, payload: str
) -> None:
    server = Server()
    async with _hub(database_url, server):
        await observer.execute("select pg_notify($1, $2)", CHANNEL, payload)
        await observer.execute("select pg_notify($1, $2)", CHANNEL, '{"ended": ["t1"]}')
        await until(lambda: server.ended == [None, ["t1"]])
        assert server.queued == [None] + [None] * (payload in ("", "not JSON", '{"queued": null}'))


async def test_executions_are_handed_on(database_url: str) -> None:
    here, there = Server(), Server()
    async with _hub(database_url, here) as hub, _hub(database_url, there):
        hub.told(["one", "two"])
        await until(lambda: there.told == ["one", "two"])
    assert here.told == []
