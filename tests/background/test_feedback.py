"""What a job tells others counts for the size of answers, whichever way it grew."""

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import connected
from tests.engine.headless import Headless


async def _bytes(observer: asyncpg.Connection, task_id: str) -> int:
    size: int = await observer.fetchval("select bytes from taskrpc.task where id = $1", task_id)
    return size


async def test_feedback_counts_for_the_size_of_a_task(server: Headless, database_url: str) -> None:
    task = await server.started(params={"a": 1})
    async with connected(database_url) as observer:
        params = await _bytes(observer, task["id"])
        await server.of("feedback", task, feedback="x" * 1000)
        assert await _bytes(observer, task["id"]) == params + 1002
        await server.of("feedback", task, feedback="y", append=True)
        assert await _bytes(observer, task["id"]) == params + len('["') + 1000 + len('","y"]')
        await server.of("feedback", task, feedback=1)
        assert await _bytes(observer, task["id"]) == params + 1
        await server.of("fail", task, error="e")
        assert await _bytes(observer, task["id"]) == params + 1 + len('"e"')


async def test_a_list_that_is_full_stays_as_it_is(server: Headless) -> None:
    task = await server.started()
    half = "x" * 600_000
    await server.of("feedback", task, feedback=half, append=True)
    with pytest.raises(TaskRpcError, match="invalid-params"):
        await server.of("feedback", task, feedback=half, append=True)
    assert (await server.status(task))["feedback"] == [half]
