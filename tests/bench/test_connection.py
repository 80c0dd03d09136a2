"""The load generator's client: answers that come in pieces, refusals, hang-ups."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from taskrpc.bench.connection import Client, Crowd, LoadError, Script

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"


class _Transport:
    """Keeps what is written, in the place of a socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


def _connected() -> Client:
    client = Client()
    client.connection_made(_Transport())
    return client


async def _answer(client: Client, *pieces: bytes) -> bytes:
    call = asyncio.ensure_future(client.call(b"request"))
    await asyncio.sleep(0)
    for piece in pieces:
        client.data_received(piece)
    return await call


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
async def test_an_answer_is_put_together_from_pieces_of_any_size(size: int) -> None:
    pieces = [ANSWER[n : n + size] for n in range(0, len(ANSWER), size)]
    client = _connected()
    assert await _answer(client, *pieces) == b"hello world"
    assert await _answer(client, *pieces) == b"hello world"


async def test_an_answer_without_a_length_has_no_body() -> None:
    assert await _answer(_connected(), b"HTTP/1.1 200 OK\r\ndate: now\r\n\r\n") == b""


async def test_a_refusal_is_raised_with_what_it_said() -> None:
    with pytest.raises(LoadError, match=r"422 Unprocessable Entity: \{wrong\}"):
        await _answer(_connected(), b"HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 7\r\n\r\n{wrong}")


async def test_a_hang_up_is_raised_at_once_and_for_every_later_call() -> None:
    client = _connected()
    call = asyncio.ensure_future(client.call(b"request"))
    await asyncio.sleep(0)
    client.connection_lost(ConnectionResetError("reset by peer"))
    for waiting in (call, client.call(b"request")):
        with pytest.raises(LoadError, match="the server hung up: reset by peer"):
            await waiting


@pytest.fixture
async def echo_url() -> AsyncIterator[str]:
    """A server that answers every request with its body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1000):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(request), request))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_scripts_take_turns_with_their_servers_answers(echo_url: str) -> None:
    heard: list[bytes] = []
    done = asyncio.Event()

    def script(name: bytes) -> Script:
        for number in (b"1", b"2"):
            heard.append((yield name + number))
        if len(heard) == 4:
            done.set()

    async def all_done() -> None:
        await done.wait()

    crowd = Crowd()
    await crowd.begin([(echo_url, script(b"a")), (echo_url, script(b"b"))])
    await crowd.work_until(all_done())
    crowd.close()
    assert sorted(heard) == [b"a1", b"a2", b"b1", b"b2"]


async def test_a_script_that_does_not_understand_its_answer_ends_the_load(echo_url: str) -> None:
    def script() -> Script:
        int((yield b"no number"))

    crowd = Crowd()
    await crowd.begin([(echo_url, script())])
    with pytest.raises(LoadError, match=r"an answer was not understood.*no number"):
        await crowd.work(10)
    crowd.close()


async def test_a_server_that_is_not_there_is_told_with_its_url() -> None:
    with pytest.raises(LoadError, match=r"no connection to http://127\.0\.0\.1:1"):
        await Crowd().client("http://127.0.0.1:1")
