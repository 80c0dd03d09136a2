"""What a durable change costs at least: one row, updated over and over. `python -m tests.bench.one_row`"""

import asyncio
from typing import Any

import asyncpg
import orjson
import uvloop

from taskrpc.bench.window import Window, clock, read_order, wait_for_dismissal


async def _update(window: Window, connection: asyncpg.Connection) -> None:
    while True:
        sent = clock()
        await connection.execute("update one_row set value = value + $1", 1)
        window.took(sent, clock())
        window.done(1)


async def _drive(order: dict[str, Any]) -> None:
    connection, window = await asyncpg.connect(order["database_url"]), Window()
    await connection.execute("create table one_row (value bigint not null)")
    await connection.execute("insert into one_row values (0)")
    updates = asyncio.ensure_future(_update(window, connection))
    await asyncio.wait([updates], timeout=order["warm_up"])
    window.begin()
    await asyncio.wait([updates], timeout=order["seconds"])
    window.end()
    updates.cancel()
    await asyncio.wait([updates])
    await connection.close()


if __name__ == "__main__":
    uvloop.run(_drive(orjson.loads(read_order())))
    wait_for_dismissal()
