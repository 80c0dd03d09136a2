"""Watches the deadlines of all connections of a server, in place of timers for each request."""

import asyncio
from typing import Any, Final

SWEEP_SECONDS: Final = 1.0
# To look at ten thousand connections takes as long as several calls, which do not wait for all of that.
_SWEPT_AT_ONCE: Final = 100


async def sweep_connections(connections: set[Any]) -> None:
    """Runs for ever: has each connection end what takes too long."""
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for n, connection in enumerate(list(connections)):
            if n % _SWEPT_AT_ONCE == 0:
                await asyncio.sleep(0)
            if connection in connections:
                connection.sweep(clock())
