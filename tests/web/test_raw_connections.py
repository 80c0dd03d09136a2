"""Connections that do not behave: garbage, halves, lies about lengths, silence. The server lives on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLL: Final = b'{"method": "awf.task/poll", "params": {"taskDefinitions": []}}'
EMPTY: Final = b'{"result":{"resources":[]}}'
SHORT_SECONDS: Final = 0.05


@pytest.fixture(scope="module", autouse=True)
def sweeps_often() -> Iterator[None]:
    """Deadlines are watched more often than in earnest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taskrpc.web.sweeping.SWEEP_SECONDS", SHORT_SECONDS)
        yield


def post(body: bytes = POLL, *headers: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return head(b"POST /rpc HTTP/1.1", b"Content-Length: %d" % length, *headers) + body


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([lines[0], b"Host: test", *lines[1:], b"", b""])


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    return head(b"POST /rpc HTTP/1.1", b"Transfer-Encoding: chunked") + body


class Connection:
    """One connection to the target, as raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
        body = await self._reader.readexactly(int(fields.get(b"content-length", 0)))
        return int(head.split(b" ", 2)[1]), body

    async def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""

    def hang_up(self) -> None:
        """Closes it, with a reset if anything was not read."""
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def connection(target: Target) -> AsyncIterator[Connection]:
    address = urlsplit(target.server.url)
    async with target.unharmed():
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


GARBAGE: Final = {
    "zeros": b"\0" * 100,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 200,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a request to PostgreSQL": b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    "no version": b"POST /rpc\r\n\r\n",
    "a strange version": b"POST /rpc HTTP/9.9\r\n\r\n",
    "no method": b" /rpc HTTP/1.1\r\n\r\n",
    "an unknown method": head(b"SMASH /rpc HTTP/1.1"),
    "a header without a colon": head(b"POST /rpc HTTP/1.1", b"nonsense"),
    "a header with NUL": head(b"POST /rpc HTTP/1.1", b"x: a\0b"),
    "a header with a space in its name": head(b"POST /rpc HTTP/1.1", b"content length: 3"),
    "a length that is no number": head(b"POST /rpc HTTP/1.1", b"Content-Length: three"),
    "a negative length": head(b"POST /rpc HTTP/1.1", b"Content-Length: -3"),
    "a length of 2^64": head(b"POST /rpc HTTP/1.1", b"Content-Length: 18446744073709551616"),
    "two lengths": head(b"POST /rpc HTTP/1.1", b"Content-Length: 3", b"Content-Length: 4"),
    "a length and chunks": head(b"POST /rpc HTTP/1.1", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "a chunk of no size": head(b"POST /rpc HTTP/1.1", b"Transfer-Encoding: chunked") + b"zz\r\nabc\r\n",
    "a chunk of a huge size": head(b"POST /rpc HTTP/1.1", b"Transfer-Encoding: chunked") + b"f" * 17 + b"\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_answered_with_400_or_not_at_all_and_the_connection_closed(
    garbage: bytes, target: Target
) -> None:
    async with connection(target) as wire:
        await wire.send(garbage)
        rest = await wire.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("size", [70_000, 10_000_000])
@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000])
async def test_a_head_that_is_too_long_is_cut_off(start: bytes, size: int, target: Target) -> None:
    async with connection(target) as wire:
        with contextlib.suppress(ConnectionError):
            await wire.send(start + b"a" * size)
        await wire.rest()


@pytest.mark.parametrize("half", [b"", b"POST", b"POST /rpc HTTP/1.1\r\nHost: te", post()[:50]])
async def test_half_a_head_and_then_silence_is_cut_off(
    half: bytes, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc.web.limits.BYTE_SECONDS", SHORT_SECONDS)
    async with connection(target) as wire:
        await wire.send(half)
        assert await wire.rest() == b""


@pytest.mark.parametrize(
    "half", [post(length=100), head(b"POST /rpc HTTP/1.1", b"Content-Length: 3"), chunked(POLL)[:-5]]
)
async def test_half_a_body_and_then_silence_is_a_request_timeout(
    half: bytes, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc.web.limits.BYTE_SECONDS", SHORT_SECONDS)
    async with connection(target) as wire:
        await wire.send(half)
        status, body = await wire.answer()
        assert await wire.rest() == b""
    assert (status, b'"type":"request-timeout"' in body) == (408, True)


async def test_a_body_that_drips_is_a_request_timeout(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrpc.web.limits.REQUEST_SECONDS", SHORT_SECONDS)

    async def drip(wire: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await wire.send(b" ")
                await asyncio.sleep(0)

    async with connection(target) as wire:
        await wire.send(post(length=1_000_000))
        dripping = asyncio.ensure_future(drip(wire))
        status, body = await wire.answer()
        dripping.cancel()
        await asyncio.wait([dripping])
    assert (status, b'"type":"request-timeout"' in body) == (408, True)


@pytest.mark.parametrize("length", [8 * 2**20 + 1, 2**40, 2**63 - 1])
async def test_a_length_beyond_the_limit_is_refused_before_anything_of_the_body_came(
    length: int, target: Target
) -> None:
    async with connection(target) as wire:
        await wire.send(head(b"POST /rpc HTTP/1.1", b"Content-Length: %d" % length))
        status, body = await wire.answer()
    assert (status, b'"type":"body-too-large"' in body) == (413, True)


async def test_chunks_beyond_the_limit_are_refused(target: Target) -> None:
    async with connection(target) as wire:
        start = head(b"POST /rpc HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Type: text/yaml")
        await wire.send(start + (b"%x\r\n%s\r\n" % (2**16, b" " * 2**16)) * 17)
        status, body = await wire.answer()
        await wire.send(b"0\r\n\r\n")
        assert await wire.rest() == b""
    assert (status, b"larger than 1048576 bytes" in body) == (413, True)


async def test_who_sends_on_after_the_refusal_is_cut_off_in_the_end(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc.web.limits.MOST_DISCARDED", 2**20)
    async with connection(target) as wire:
        await wire.send(post(b"", length=2**40))
        with contextlib.suppress(ConnectionError):
            await wire.send(b" " * 2**24)
        with contextlib.suppress(ConnectionError):
            assert (await wire.answer())[0] == 413
        await wire.rest()


async def test_who_falls_silent_after_the_refusal_is_cut_off(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrpc.web.limits.QUIET_SECONDS", SHORT_SECONDS)
    async with connection(target) as wire:
        await wire.send(post(b"", length=2**40))
        assert (await wire.answer())[0] == 413
        assert await wire.rest() == b""


@pytest.mark.parametrize("pieces", [1, 2], ids=["in one piece", "head and body apart"])
@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.3"])
async def test_an_offer_of_another_protocol_is_not_taken_and_costs_no_body(
    offer: bytes, pieces: int, target: Target
) -> None:
    request = post(POLL, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + offer, b"HTTP2-Settings: AAMAAABk")
    cut = len(request) - len(POLL) if pieces == 2 else 0
    async with connection(target) as wire:
        for _ in range(2):
            for piece in (request[:cut], request[cut:]):
                await wire.send(piece)
                await asyncio.sleep(0)
            assert await wire.answer() == (200, EMPTY)


async def test_a_body_that_looks_like_a_request_is_no_request_behind_an_offer(target: Target) -> None:
    create = b'{"method":"awf.task/create-and-execute","params":{"definition":"smuggled"}}'
    hidden = post(create)
    head_only = post(b"", b"Connection: Upgrade", b"Upgrade: h2c", length=len(hidden))
    async with connection(target) as wire:
        await wire.send(head_only)
        await asyncio.sleep(0)
        await wire.send(hidden)
        status, body = await wire.answer()
        assert (status, b"unparsable-body" in body) == (400, True)


@pytest.mark.parametrize("before", [post(b'"' + b" " * 200_000), post() * 600], ids=["a large body", "many requests"])
async def test_the_beginning_of_a_further_request_harms_none_before_it(before: bytes, target: Target) -> None:
    count = before.count(b"POST /rpc")
    async with connection(target) as wire:
        await wire.send(before + post()[:30])
        statuses = [(await wire.answer())[0] for _ in range(count)]
        await wire.send(post()[30:])
        assert {*statuses, (await wire.answer())[0]} <= {200, 400}


@pytest.mark.parametrize("trailer", [b"a: " + b"x" * 2**20, b"a: b\r\n" * 2**17], ids=["long", "many"])
async def test_trailers_are_bounded(trailer: bytes, target: Target) -> None:
    async with connection(target) as wire:
        with contextlib.suppress(ConnectionError):
            await wire.send(chunked(POLL)[:-2] + trailer)
        assert b"HTTP/1.1 2" not in await wire.rest()


async def test_answers_wait_for_a_client_that_reads_slowly_and_keep_their_order(target: Target) -> None:
    """The answers are larger than what the kernel keeps for a connection: the server has to hold them back."""
    large = b'{"method": "awf.task/list", "params": {"count": 1}, "id": "' + b"x" * 2**20 + b'"}'
    address = urlsplit(target.server.url)
    async with target.unharmed():
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**16)
        wire = Connection(reader, writer)
        async with asyncio.TaskGroup() as group:
            group.create_task(wire.send(b"".join(post(large) + post() for _ in range(4))))
            sizes = [len((await wire.answer())[1]) for _ in range(8)]
        wire.hang_up()
    assert [size > 2**20 for size in sizes] == [True, False] * 4


async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(post(b"", b"Expect: 100-continue", length=len(POLL)))
        assert (await wire.answer())[0] == 100
        await wire.send(POLL)
        assert await wire.answer() == (200, EMPTY)


async def test_a_client_that_asks_whether_its_large_body_is_wanted_is_told_no(target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(post(b"", b"Expect: 100-continue", length=2**40))
        assert (await wire.answer())[0] == 413


@pytest.mark.parametrize("chunks", [(POLL,), (POLL[:5], POLL[5:]), tuple(bytes([byte]) for byte in POLL)])
async def test_a_body_in_chunks_is_read(chunks: tuple[bytes, ...], target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(chunked(*chunks))
        assert await wire.answer() == (200, EMPTY)


async def test_a_request_that_comes_byte_by_byte_is_read(target: Target) -> None:
    async with connection(target) as wire:
        for byte in post():
            await wire.send(bytes([byte]))
        assert await wire.answer() == (200, EMPTY)


async def test_pipelined_requests_are_answered_in_their_order(target: Target) -> None:
    calls = [b'{"method": "nothing", "id": %d}' % n for n in range(50)]
    async with connection(target) as wire:
        await wire.send(b"".join(post(call) for call in calls))
        answers = [await wire.answer() for _ in calls]
    assert all(b'"id":%d}' % n in body for n, (_, body) in enumerate(answers))
    assert {status for status, _ in answers} == {404}


async def test_what_follows_a_body_that_is_longer_than_its_length_is_garbage(target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(post(POLL + b" and more", length=len(POLL)))
        statuses = [line for line in (await wire.rest()).split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses[-1] == b"HTTP/1.1 400 Bad Request"


async def test_a_body_that_is_cut_short_by_its_length_is_unparsable(target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(post(POLL[:20]))
        status, body = await wire.answer()
    assert (status, b'"type":"unparsable-body"' in body) == (400, True)


async def test_http_1_0_is_answered_and_the_connection_closed(target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(b"POST /rpc HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(POLL), POLL))
        assert await wire.answer() == (200, EMPTY)
        assert await wire.rest() == b""


@pytest.mark.parametrize("part", [b"", post()[:10], post()[:-10], chunked(POLL)[:-7], post()])
async def test_a_client_that_hangs_up_is_forgotten(part: bytes, target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(part)
        wire.hang_up()
    async with connection(target) as wire:
        await wire.send(post())
        assert await wire.answer() == (200, EMPTY)


@pytest.mark.parametrize(("request_", "status"), [
    (head(b"GET /rpc HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 405),
    (head(b"POST http://elsewhere.example/rpc HTTP/1.1", b"Content-Length: 2") + b"{}", 400),
    (head(b"OPTIONS * HTTP/1.1"), 404),
    (head(b"GET //rpc HTTP/1.1"), 404),
    (head(b"GET /../rpc HTTP/1.1"), 404),
    (head(b"GET /%00 HTTP/1.1"), 404),
    (head(b"GET /%ff%fe HTTP/1.1"), 404),
])  # fmt: skip
async def test_strange_targets_have_their_answers(request_: bytes, status: int, target: Target) -> None:
    async with connection(target) as wire:
        await wire.send(request_)
        assert (await wire.answer())[0] == status
