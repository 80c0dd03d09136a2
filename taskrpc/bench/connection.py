"""A minimal HTTP/1.1 client: one request at a time on a connection that stays open, few microseconds of CPU per call.

What a connection says is either a script, a generator that yields requests and is sent the bodies of their answers,
or up to a caller that awaits each answer. It understands what servers of this protocol answer: a status, a
`Content-Length`, a body.
"""

import asyncio
import re
from collections.abc import Awaitable, Generator, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

Script = Generator[bytes, bytes, None]

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SHOWN_BYTES: Final = 300
# So many connections are made at once; more would overflow the backlog of a server.
_CONNECTING: Final = 100


class LoadError(Exception):
    """The server refused a call, or hung up: there is nothing to measure."""


class HttpConnection(asyncio.Protocol):
    """What both kinds have in common: it puts answers together and hands on their bodies."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()  # of an answer that has not come whole
        self._needed = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._received:
            self._received += data
            if len(self._received) < self._needed:
                return
            data = bytes(self._received)
        end = data.find(_END_OF_HEAD)
        if end < 0:
            self._received = bytearray(data)
            return
        length = _LENGTH.search(data, 0, end)
        total = end + len(_END_OF_HEAD) + (int(length[1]) if length else 0)
        if len(data) < total:
            self._received, self._needed = bytearray(data), total
            return
        if self._received:
            self._received, self._needed = bytearray(), 0
        body = data[end + len(_END_OF_HEAD) : total]
        if data.startswith(b"HTTP/1.1 200"):
            self.answered(body)
        else:
            self.failed(LoadError(f"{data[:end].splitlines()[0].decode()}: {body[:_SHOWN_BYTES].decode()}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self.failed(LoadError(f"the server hung up{f': {exc}' if exc else ''}"))

    def send(self, request: bytes) -> None:
        """Sends one request; nothing else may be under way."""
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        """Hangs up; whoever waits on the other side learns it."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def answered(self, body: bytes) -> None:
        """Takes the body of an answer with status 200."""
        raise NotImplementedError

    def failed(self, error: LoadError) -> None:
        """Takes any other answer, or the end of the connection."""
        raise NotImplementedError


class _Scripted(HttpConnection):
    def __init__(self, script: Script, failure: "asyncio.Future[None]") -> None:
        super().__init__()
        self._script = script
        self._failure = failure

    def begin(self) -> None:
        self.send(next(self._script))

    def answered(self, body: bytes) -> None:
        try:
            self.send(self._script.send(body))
        except StopIteration:
            self.close()
        except Exception as error:
            self.failed(LoadError(f"an answer was not understood: {error!r}: {body[:_SHOWN_BYTES].decode()}"))

    def failed(self, error: LoadError) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


class Client(HttpConnection):
    """A connection whose answers are awaited."""

    _answer: "asyncio.Future[bytes] | None" = None
    _failure: LoadError | None = None

    async def call(self, request: bytes) -> bytes:
        """The body of the answer. Raises LoadError."""
        if self._failure is not None:
            raise self._failure
        self._answer = asyncio.get_running_loop().create_future()
        self.send(request)
        return await self._answer

    def answered(self, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(body)

    def failed(self, error: LoadError) -> None:
        self._failure = error
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Crowd:
    """Connections that follow scripts side by side; the first that fails ends the load."""

    def __init__(self) -> None:
        self._connections: list[HttpConnection] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def client(self, url: str) -> Client:
        """One more connection, for calls that are awaited. Raises LoadError when there is no server."""
        client = Client()
        await self._connect(url, client)
        return client

    async def begin(self, scripts: Iterable[tuple[str, Script]]) -> None:
        """Connects one connection per script, given with the URL of its server, and then begins them all."""
        connections = [(url, _Scripted(script, self._failure)) for url, script in scripts]
        for first in range(0, len(connections), _CONNECTING):
            await asyncio.gather(*(self._connect(url, one) for url, one in connections[first : first + _CONNECTING]))
        for _, connection in connections:
            connection.begin()

    async def work(self, seconds: float) -> None:
        """Lets them work for a time. Raises LoadError when one has failed."""
        await self.work_until(asyncio.sleep(seconds))

    async def work_until(self, end: Awaitable[None]) -> None:
        """Lets them work until `end` is done. Raises LoadError when one has failed, and what `end` raises."""
        ending = asyncio.ensure_future(end)
        try:
            await asyncio.wait((ending, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            ending.result()
        finally:
            ending.cancel()

    async def _connect(self, url: str, connection: HttpConnection) -> None:
        address = urlsplit(url)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection, address.hostname or "", address.port or 80
            )
        except OSError as error:
            raise LoadError(f"no connection to {url}: {error}") from error
        self._connections.append(connection)

    def close(self) -> None:
        """Hangs up on all of them."""
        for connection in self._connections:
            connection.close()
        self._failure.cancel()
