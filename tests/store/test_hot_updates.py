"""What an executor does most often writes to no index: `start`, `notify` and `feedback` are HOT updates."""

from typing import Any

import asyncpg
import pytest

from taskrpc.store.statements import SQL
from tests.engine.headless import Headless

COUNTED = """
select pg_stat_get_xact_tuples_updated('taskrpc.task'::regclass) as updated,
    pg_stat_get_xact_tuples_hot_updated('taskrpc.task'::regclass) as hot
"""


@pytest.mark.parametrize(
    ("method", "further"),
    [("start", []), ("notify", [["{}"] * 10, ["{}"] * 10]), ("feedback", [["1"] * 10, [True] * 10, 2**20])],
)
async def test_a_call_of_a_running_execution_writes_to_no_index(
    still: Headless, observer: asyncpg.Connection, method: str, further: list[Any]
) -> None:
    for n in range(10):
        await still.create(id=f"t{n}")
    tasks = await still.poll(maxBatchSize=10, start=method != "start")
    await observer.execute("vacuum taskrpc.task")
    ids, exec_ids = [task["id"] for task in tasks], [task["execId"] for task in tasks]
    async with observer.transaction():
        await observer.fetch(SQL[method], ids, exec_ids, [f"call {task_id}" for task_id in ids], *further)
        counted = await observer.fetchrow(COUNTED)
    assert counted is not None
    assert (counted["updated"], counted["hot"]) == (10, 10)
