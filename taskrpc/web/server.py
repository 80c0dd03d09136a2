"""The HTTP server: uvicorn, with the polls answered before it waits for requests to end."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from taskrpc.web.application import Application

HEAD_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 75
DRAIN_SECONDS: Final = 1
_MOST_HEAD_BYTES: Final = 64 * 1024


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes connections whose request head does not come in time or is too long."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, data: bytes) -> None:
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > _MOST_HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """A uvicorn server that is started and stopped by its owner; signals are the owner's matter."""

    def __init__(self, application: Application, drain: Callable[[], None]) -> None:
        config = uvicorn.Config(
            application,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=4096,
        )
        super().__init__(config)
        self._drain = drain

    async def run_on(self, listening: socket.socket) -> None:
        """Serves until `stop` was called and requests under way have ended."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listening])
        await self.main_loop()
        await self.shutdown(sockets=[listening])

    def stop(self) -> None:
        """Begins the shutdown."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers waiting polls first: uvicorn waits for the requests that are under way."""
        self._drain()
        await super().shutdown(sockets)
