"""The proxy between the parties: what its weather does to what goes over it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.links import CLEAR, Link, Weather, answered, committed
from tests.system.waiting import until
from tests.system.wire import Wire

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@contextlib.asynccontextmanager
async def linked() -> AsyncIterator[tuple[Link, Wire, list[bytes]]]:
    """A link to a party that answers each line, a connection over it, and what arrived."""
    arrived: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                arrived.append(chunk)
                writer.write(_ANSWER)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        link = Link(server.sockets[0].getsockname()[:2], answered)
        wire = await Wire.open(await link.listen())
        yield link, wire, arrived
        wire.hang_up()
        await link.close()


async def test_in_clear_weather_everything_arrives() -> None:
    async with linked() as (_, wire, arrived):
        assert (await wire.call("x")).body == {}
        assert len(arrived) == 1


async def test_a_trickle_arrives_in_small_pieces() -> None:
    async with linked() as (link, wire, _):
        link.weather = Weather(trickle=1)
        assert (await wire.call("x")).body == {}


async def test_an_answer_that_is_swallowed_breaks_its_connection_after_the_work_was_done() -> None:
    async with linked() as (link, wire, arrived):
        link.weather = Weather(swallow=1)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await wire.call("x")
        assert (len(arrived), link.swallowed) == (1, 1)


async def test_in_deaf_weather_requests_arrive_and_answers_do_not() -> None:
    async with linked() as (link, wire, arrived):
        link.weather = Weather(deaf=True)
        wire.send("x")

        async def is_there() -> bool:
            return bool(arrived)

        await until(is_there)
        link.weather = CLEAR
        link.cut()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await wire.receive()


@pytest.mark.parametrize("reset", [False, True])
async def test_connections_are_cut_and_new_ones_can_be_made(reset: bool) -> None:
    async with linked() as (link, wire, _):
        await wire.call("x")
        link.cut(reset=reset)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await wire.receive()


async def test_nobody_behind_a_link_is_a_broken_connection(tmp_path: Path) -> None:
    link = Link(tmp_path / "nobody", committed)
    wire = await Wire.open(await link.listen())
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await wire.receive()
    await link.close()


def test_postgresql_says_that_something_is_committed() -> None:
    assert committed(b"C\x00\x00\x00\rSELECT 1\x00Z\x00\x00\x00\x05I")
    assert committed(b"C\x00\x00\x00\x0bCOMMIT\x00Z\x00\x00\x00\x05I")
    assert not committed(b"C\x00\x00\x00\rSELECT 1\x00Z\x00\x00\x00\x05T")
    assert not committed(b"1\x00\x00\x00\x04Z\x00\x00\x00\x05I")
