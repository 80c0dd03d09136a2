"""The HTTP server: uvicorn with our protocol, and with the polls answered before it waits for requests to end."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette

from taskrpc.web.limits import KEEP_ALIVE_SECONDS
from taskrpc.web.protocol import RpcProtocol
from taskrpc.web.rpc_endpoint import RpcEndpoint
from taskrpc.web.sweeping import sweep_connections

DRAIN_SECONDS: Final = 1


class Server(uvicorn.Server):
    """A server that is started and stopped by its owner; signals are the owner's matter.

    `rpc` answers `/rpc`, `others` all other paths; `drain` is called when the server begins to stop.
    """

    def __init__(self, rpc: RpcEndpoint, others: Starlette, drain: Callable[[], None]) -> None:
        protocol = type("BoundProtocol", (RpcProtocol,), {"endpoint": rpc})
        config = uvicorn.Config(
            others,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(KEEP_ALIVE_SECONDS),
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
        sweeping = asyncio.ensure_future(sweep_connections(self.server_state.connections))
        try:
            await self.main_loop()
            await self.shutdown(sockets=[listening])
        finally:
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping

    def stop(self) -> None:
        """Begins the shutdown."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers waiting polls first: uvicorn waits for the requests that are under way."""
        self._drain()
        await super().shutdown(sockets)
