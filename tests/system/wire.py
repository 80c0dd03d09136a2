"""HTTP with the hands: connections of which a test decides when they send, when they read, and when they break."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tests.services import Reply

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
_OPENED_AT_ONCE: Final = 500


class Wire:
    """One connection to a server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Wire":
        """A connection to the server of a URL."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    def send(self, method: str, **params: Any) -> None:
        """Sends a call; `receive` reads its answer."""
        self.send_body({"method": method, "params": params})

    def send_body(self, body: object) -> None:
        """Sends any body as JSON."""
        content = orjson.dumps(body)
        head = "POST /rpc HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length:"
        self._writer.write(f"{head} {len(content)}\r\n\r\n".encode() + content)

    def send_raw(self, data: bytes) -> None:
        """Sends any bytes."""
        self._writer.write(data)

    async def receive(self) -> Reply:
        """The next answer; raises ConnectionError or IncompleteReadError when the connection ends before it."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(first.split()[1]), headers, orjson.loads(content) if content else None)

    async def call(self, method: str, **params: Any) -> Reply:
        """Sends a call and reads its answer."""
        self.send(method, **params)
        return await self.receive()

    async def batch(self, *calls: dict[str, Any]) -> list[Any]:
        """Sends calls in one body and reads their answers."""
        self.send_body(calls)
        answers: list[Any] = (await self.receive()).body
        return answers

    async def get(self, path: str) -> Reply:
        """Reads over plain HTTP."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        return await self.receive()

    def hang_up(self) -> None:
        """Breaks the connection as a killed client does: at once, with a reset."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the other end was quicker
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Closes the connection in order."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connection(url: str) -> AsyncIterator[Wire]:
    """A connection that is closed after the block."""
    wire = await Wire.open(url)
    try:
        yield wire
    finally:
        await wire.close()


@contextlib.asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[list[Wire]]:
    """Many connections, which are closed after the block."""
    wires: list[Wire] = []
    try:
        while len(wires) < count:
            some = min(_OPENED_AT_ONCE, count - len(wires))
            wires += await asyncio.gather(*(Wire.open(url) for _ in range(some)))
        yield wires
    finally:
        await asyncio.gather(*(wire.close() for wire in wires))
