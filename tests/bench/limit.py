"""The limit: the service's own statements, in arrays, straight from asyncpg. `python -m tests.bench.limit`

No HTTP, no checks, no waiting polls: what is left is what PostgreSQL takes to create, claim, start and end tasks with
their log. Faster than this the service cannot be on the same schema. It is told what to do, and tells, in the way of
taskrpc.bench.window.
"""

import asyncio
from typing import Any, Final

import orjson
import uvloop

from taskrpc.bench.window import Window, clock, read_order, wait_for_dismissal
from taskrpc.store.database import Database
from tests.bench import statements

CONNECTIONS: Final = 4
ARRAY: Final = 100


async def _call(window: Window, connection: Any, statement: list[Any]) -> list[Any]:
    sent = clock()
    rows: list[Any] = await connection.fetch(*statement)
    window.took(sent, clock())
    return rows


async def _life_cycles(window: Window, database: Database, params: list[str]) -> None:
    async with database.connection() as connection:
        while True:
            await _call(window, connection, statements.create(params))
            rows = await _call(window, connection, statements.claim(len(params)))
            executions = [(row["id"], row["exec_id"]) for row in rows if row["id"] is not None]
            if executions:
                await _call(window, connection, statements.start(executions))
                results = [statements.RESULT] * len(executions)
                ended = await _call(window, connection, statements.success(executions, results))
                # A row that another claim looks at in this moment is passed over; the service sends such again.
                window.done(sum(row["applied"] for row in ended))


async def _drive(order: dict[str, Any]) -> None:
    database, window = Database(order["database_url"], connections=CONNECTIONS), Window()
    await database.open()
    params = [statements.params_text(order["payload"])] * ARRAY
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_life_cycles(window, database, params)) for _ in range(CONNECTIONS)]
        await asyncio.sleep(order["warm_up"])
        window.begin()
        await asyncio.sleep(order["seconds"])
        window.end()
        for task in tasks:
            task.cancel()
    await database.close()


if __name__ == "__main__":
    uvloop.run(_drive(orjson.loads(read_order())))
    wait_for_dismissal()
