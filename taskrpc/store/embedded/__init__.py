"""The embedded PostgreSQL: a real server that taskrpc starts, shares, supervises and stops (on Linux)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from taskrpc.store.embedded.ownership import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "supervised"]


@contextlib.asynccontextmanager
async def supervised(data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """The PostgreSQL of a data directory for the length of a block, and kept running: whoever joins while its owner
    ends takes it over."""
    async with EmbeddedPostgres(data_dir) as server:
        supervising = asyncio.create_task(server.supervise())
        try:
            yield server
        finally:
            supervising.cancel()
            await asyncio.wait([supervising])
