"""Waiting for the end of a task."""

import asyncio
from typing import Any

import asyncpg
import pytest

from taskrpc.engine import results
from taskrpc.engine.caller import Caller
from taskrpc.engine.tasks import Tasks
from taskrpc.errors import TaskRpcError
from tests.databases import connected
from tests.engine.headless import Headless
from tests.system.waiting import until


@pytest.fixture(autouse=True)
def _only_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for themselves: whoever is answered was told."""
    monkeypatch.setattr(results, "SLOW_POLL_SECONDS", 3600.0)


async def _waiting(server: Headless, task: Any) -> "asyncio.Future[Any]":
    answer = asyncio.ensure_future(server.call("awf.task/result", id=task["id"]))

    async def waits() -> bool:
        return bool(server.parts.results.waiting)

    await until(waits)
    return answer


@pytest.mark.parametrize("method", ["success", "fail", "release"])
async def test_everybody_who_waits_is_answered_when_the_task_ends(server: Headless, method: str) -> None:
    await server.call("awf.definition/put", id="test/task", allowedRetryCount=1)
    task = await server.started()
    waiting = [await _waiting(server, task) for _ in range(3)]
    await server.of(method, task)
    if method == "release":
        assert not any(answer.done() for answer in waiting)
        await server.call("awf.task/cancel", id=task["id"])
    async with asyncio.timeout(5):
        answers = [(await answer)["resource"] for answer in waiting]
    assert answers == [await server.status(task)] * 3
    assert server.parts.results.waiting == 0


async def test_a_task_that_is_done_already_is_answered_at_once(server: Headless) -> None:
    task = await server.started()
    await server.of("success", task, result=7)
    assert (await server.call("awf.task/result", id=task["id"]))["resource"]["result"] == 7


async def test_a_task_that_is_not_there_is_not_waited_for(server: Headless) -> None:
    with pytest.raises(TaskRpcError, match="task-not-found"):
        await server.call("awf.task/result", id="nothing")
    assert server.parts.results.waiting == 0


@pytest.mark.parametrize("milliseconds", [0, 10])
async def test_when_the_time_is_over_the_task_is_answered_as_it_is(server: Headless, milliseconds: int) -> None:
    task = await server.started()
    answer = await server.call("awf.task/result", id=task["id"], timeout=milliseconds)
    assert answer["resource"]["status"] == "in-progress"
    assert server.parts.results.waiting == 0


async def test_an_end_between_the_look_and_the_wait_is_not_missed(
    server: Headless, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await server.started()
    look = Tasks.row

    async def look_and_then_it_ends(self: Tasks, task_id: str) -> Any:
        row = await look(self, task_id)
        if row["status"] == "in-progress":
            await server.of("success", task)
        return row

    monkeypatch.setattr(Tasks, "row", look_and_then_it_ends)
    async with asyncio.timeout(5):
        assert (await server.call("awf.task/result", id=task["id"]))["resource"]["status"] == "done"


async def test_who_hung_up_waits_no_longer(server: Headless) -> None:
    task = await server.started()
    caller = Caller()
    waiting = asyncio.ensure_future(server.parts.services.tasks.result(task["id"], 60, caller))
    await asyncio.sleep(0)
    caller.leave()
    assert (await waiting)["status"] == "in-progress"
    assert server.parts.results.waiting == 0


async def test_who_waits_when_the_server_stops_is_answered_with_the_task_as_it_is(server: Headless) -> None:
    task = await server.started()
    waiting = await _waiting(server, task)
    server.parts.drain()
    assert (await waiting)["resource"]["status"] == "in-progress"
    later = await server.call("awf.task/result", id=task["id"])
    assert later["resource"]["status"] == "in-progress"


async def test_an_end_that_nobody_told_of_is_found_by_looking(server: Headless, database_url: str) -> None:
    ended, deleted = await server.started("one"), await server.started("two")
    waiting = [await _waiting(server, task) for task in (ended, deleted)]
    async with connected(database_url) as database:
        await _end_behind_its_back(database, ended["id"], deleted["id"])
    await server.parts.results.look()
    assert (await waiting[0])["resource"]["outcome"] == "failed"
    with pytest.raises(TaskRpcError, match="task-not-found"):
        await waiting[1]


async def _end_behind_its_back(database: asyncpg.Connection, ended: str, deleted: str) -> None:
    await database.execute("update taskrpc.task set status = 'done', outcome = 'failed' where id = $1", ended)
    await database.execute("delete from taskrpc.task where id = $1", deleted)
