"""A TCP proxy between two parties, and the weather on it: delays, trickles, cuts, resets, and answers that get lost.

Every connection of a run goes through one of these: those of clients to a server, those of a server to PostgreSQL. The
address of a link stays while the party behind it is killed and comes back somewhere else.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK: Final = 65536
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
_TRICKLE_SECONDS: Final = 0.001

Upstream = tuple[str, int] | Path
_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Weather:
    """What happens to everything that goes over a link. Without arguments: nothing."""

    delay: float = 0.0  # seconds, each way
    trickle: int = 0  # bytes at a time
    deaf: bool = False  # no answer arrives
    swallow: int = 0  # so many answers to work that was done are lost, and their connections with them


CLEAR: Final = Weather()


def committed(answer: bytes) -> bool:
    """Whether PostgreSQL says in these bytes that something is done, and no transaction is open."""
    return answer.endswith(b"Z\x00\x00\x00\x05I") and (b"SELECT " in answer or b"COMMIT\x00" in answer)


def answered(answer: bytes) -> bool:
    """Whether these bytes are an HTTP answer."""
    return answer.startswith(b"HTTP/1.1 200")


class Link:
    """One link. `done` tells which answers say that work was done."""

    def __init__(self, upstream: Upstream | None, done: Callable[[bytes], bool]) -> None:
        self.upstream = upstream
        self.weather = CLEAR
        self.swallowed = 0
        self._done = done
        self._closing = False
        self._connections: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, socket_path: Path | None = None) -> str:
        """Takes connections, on a Unix socket or on a free port of this machine; answers the address."""
        if socket_path is not None:
            self._server = await asyncio.start_unix_server(self._carry, socket_path)
            return str(socket_path)
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        """Ends the link and all connections over it."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        carrying = list(self._connections)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def cut(self, *, reset: bool = False) -> None:
        """Ends the connections that there are, in order or with a reset."""
        for pair in list(self._connections.values()):
            for writer in pair:
                if reset:
                    _break(writer)
                else:
                    writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self._open()
        except OSError:
            _break(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = (writer, back)
        try:
            await self._both_ways((reader, writer), (there, back))
        except asyncio.CancelledError:
            if not self._closing:  # else nobody waits for this task, which asyncio's streams made
                raise
        finally:
            del self._connections[task]
            writer.close()
            back.close()

    async def _both_ways(self, client: _End, party: _End) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(client[0], party[1], answers=False))
                group.create_task(self._pump(party[0], client[1], answers=True))
        except* (OSError, RuntimeError):  # writing to a connection that was closed raises either
            pass

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        match self.upstream:
            case None:
                raise ConnectionRefusedError
            case Path() as path:
                return await asyncio.open_unix_connection(path)
            case host, port:
                return await asyncio.open_connection(host, port)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                weather = self.weather
                if answers and weather.swallow > 0 and self._done(chunk):
                    weather.swallow -= 1
                    self.swallowed += 1
                    raise ConnectionAbortedError
                if weather.delay:
                    await asyncio.sleep(weather.delay)
                if not (answers and weather.deaf):
                    await _send(target, chunk, weather.trickle)
        finally:
            with contextlib.suppress(OSError):
                target.close()


async def _send(target: asyncio.StreamWriter, chunk: bytes, trickle: int) -> None:
    pieces = [chunk] if not trickle else [chunk[n : n + trickle] for n in range(0, len(chunk), trickle)]
    for piece in pieces:
        target.write(piece)
        await target.drain()
        if trickle:
            await asyncio.sleep(_TRICKLE_SECONDS)


def _break(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_INET:
        with contextlib.suppress(OSError):  # it is closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()
