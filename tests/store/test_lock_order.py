"""Whoever needs several rows waits for them in one order, so that no two wait for each other."""

import asyncio

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.statements import SQL
from tests.engine.headless import Headless


async def test_a_create_that_is_repeated_does_not_wait_for_its_task(
    still: Headless, observer: asyncpg.Connection
) -> None:
    """It has locked the gate by then, for which whoever is changing the task may wait."""
    await still.call("awf.definition/put", id="limited", concurrencyLimit=1, queueLimit=10)
    await still.create("limited", id="one")
    async with asyncio.timeout(5), observer.transaction():
        await observer.execute("update taskrpc.task set updated_at = updated_at where id = 'one'")
        with pytest.raises(TaskRpcError) as refused:
            await still.create("limited", id="one")
    assert refused.value.type == "task-already-exists"


async def test_gates_are_locked_in_the_order_of_their_column_however_the_database_sorts(
    observer: asyncpg.Connection,
) -> None:
    """That of the tests sorts as the column does; so its plan names the collation only where it is asked for."""
    plan = await observer.fetch(f"explain (verbose) {SQL['open_gates']}", ["b", "a"], ["n", "n"], [True, True])
    assert 'Sort Key: x.key COLLATE "C"' in "\n".join(row[0] for row in plan)
