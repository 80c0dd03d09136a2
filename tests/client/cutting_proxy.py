"""A TCP proxy in front of the service that breaks off, where it is told, what goes through it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast
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
    """Applies `faults` to the requests in the order of arrival, then what `choose` says.

    Before that, `answers` are given, whole HTTP messages in place of the service's. With `upstream` None the
    service is away.
    """

    upstream: str | None
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    choose: Callable[[bytes], Fault] = lambda request: Fault.NONE
    answers: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass requests on until one side closes the connection, or a fault cuts it."""
        self.connections[writer] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            while await self._pass_on(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self.connections[writer]
            writer.close()

    async def close(self) -> None:
        """Cut all connections, also those that wait for the service."""
        tasks = list(self.connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handle one request; whether the connection lives on."""
        request = await read_message(reader)
        self.requests.append(request)
        if self.answers:
            writer.write(self.answers.pop(0))
            return True
        fault = self.faults.pop(0) if self.faults else self.choose(request)
        if fault is Fault.REFUSED or self.upstream is None:
            return False
        answer = await self._forward(request, self.upstream)
        if fault is Fault.UNANSWERED:
            return False
        writer.write(answer if fault is Fault.NONE else answer[: len(answer) - 5])
        await writer.drain()
        return fault is Fault.NONE

    async def _forward(self, request: bytes, upstream: str) -> bytes:
        address = urlsplit(upstream)
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
async def cutting_proxy(upstream: str | None) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of the service at the URL `upstream`, or of one that is yet to come."""
    proxy = CuttingProxy(upstream)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
