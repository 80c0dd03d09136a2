"""A path to PostgreSQL on which answers can get lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

_SOCKET = ".s.PGSQL.5432"
_CHUNK = 65536


class LossyPath:
    """Stands between a server and its database; everything arrives until `deaf` is set.

    `refusal` is an error of PostgreSQL, code and message, that new connections get in its place, `refused` how many.
    """

    def __init__(self, url: str, database_url: str, database_socket: Path) -> None:
        self.url = url
        self.database_url = database_url
        self.deaf = False
        self.refusal: tuple[str, str] | None = None
        self.refused = 0
        self._database_socket = database_socket
        self._transports: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection until an end of it closes."""
        if self.refusal is not None:
            self.refused += 1
            await _refuse(reader, writer, *self.refusal)
            return
        there, back = await asyncio.open_unix_connection(self._database_socket)
        self._transports |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, answers=False))
                group.create_task(self._pump(there, writer, answers=True))
        except* ConnectionError:
            pass
        finally:
            self._transports -= {writer, back}

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                if not (answers and self.deaf):
                    target.write(chunk)
                    await target.drain()
        finally:
            target.close()

    def cut(self) -> None:
        """Breaks all connections; new ones hear again."""
        self.deaf = False
        for writer in list(self._transports):
            writer.transport.abort()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, code: str, message: str) -> None:
    fields = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
    with contextlib.suppress(ConnectionError):
        await reader.read(_CHUNK)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def lossy_path(url: str, directory: Path) -> AsyncIterator[LossyPath]:
    """A path to the database of a URL of a Unix socket; `directory` is where its own socket is made."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    there = Path(query["host"]) / _SOCKET
    here = urlunsplit(parts._replace(query=urlencode(query | {"host": str(directory)})))
    path = LossyPath(here, url, there)
    async with await asyncio.start_unix_server(path.carry, directory / _SOCKET):
        yield path
        path.cut()
