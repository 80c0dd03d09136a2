"""A TCP proxy in front of the service that breaks off, where it is told, what goes through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    REFUSED = auto()
    """The connection is cut before the service sees the request."""
    UNANSWERED = auto()
    """The service carries the request out, but its answer is lost."""
    HALF_ANSWERED = auto()
    """The connection is cut in the middle of the answer."""


@dataclass
class CuttingProxy:
    """Applies `faults` to the requests in the order of their arrival; when they are used up, none.

    `answers` are given in place of the service's, as whole HTTP messages, before `faults` are looked at.
    """

    upstream: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._pass_on(reader, writer):
                pass
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handle one request; whether the connection lives on."""
        request = await read_message(reader)
        self.requests.append(request)
        if self.answers:
            writer.write(self.answers.pop(0))
            return True
        fault = self.faults.pop(0) if self.faults else Fault.NONE
        if fault is Fault.REFUSED:
            return False
        answer = await self._forward(request)
        if fault is Fault.UNANSWERED:
            return False
        writer.write(answer if fault is Fault.NONE else answer[: len(answer) - 5])
        await writer.drain()
        return fault is Fault.NONE

    async def _forward(self, request: bytes) -> bytes:
        address = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(request)
            return await read_message(reader)
        finally:
            writer.close()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with a `Content-Length`."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


def http_answer(status: int, body: bytes, *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} Prepared", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def cutting_proxy(upstream: str) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of the service at the URL `upstream`."""
    proxy = CuttingProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
