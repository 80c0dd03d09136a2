"""Connections that break during a statement: the call's own id tells what happened, nothing is guessed."""

import asyncio
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.store import database
from taskrpc.store.database import CommitUnknown
from taskrpc.store.lane import LaneConnection
from tests.engine.headless import Headless, headless
from tests.store.halting import HALT, go_on, halted, look_for, over_a_path

METHODS: Final = ["start", "success", "fail", "release", "cancel", "feedback"]


async def _call(server: Headless, method: str, task: Any) -> Any:
    params = {"feedback": 1, "append": True} if method == "feedback" else {}
    if method != "cancel":
        params |= {"execId": task["execId"]}
    return (await server.call(f"awf.task/{method}", id=task["id"], **params))["resource"]


async def _polled(server: Headless, method: str) -> Any:
    await server.create()
    (task,) = await server.poll(start=method != "start")
    return task


@pytest.mark.parametrize("limits", [{}, {"concurrencyLimit": 1, "queueLimit": 9}], ids=["free", "limited"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_call_that_was_rolled_back_is_sent_again(
    still: Headless, observer: asyncpg.Connection, method: str, limits: dict[str, int]
) -> None:
    await still.call("awf.definition/put", id="test/task", **limits)
    task = await _polled(still, method)
    await observer.execute(HALT)
    calling = asyncio.ensure_future(_call(still, method, task))
    for process in await halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await halted(observer)  # it was sent again, and has come to the same place
    await go_on(observer)
    answer = await calling
    assert int(answer["meta"]["versionId"]) == int(task["meta"]["versionId"]) + 1
    assert await _logged(observer, method) == 1


async def _logged(observer: asyncpg.Connection, method: str) -> int:
    query = "select count(*) from taskrpc.log where action = $1"
    count: int = await observer.fetchval(query, f"awf.task/{method}")
    return count


@pytest.mark.parametrize("method", METHODS)
async def test_a_call_that_may_still_commit_is_not_sent_again_before_that_is_known(
    observer: asyncpg.Connection, database_url: str, method: str
) -> None:
    async with over_a_path(database_url) as (server, path):
        task = await _polled(server, method)
        await observer.execute(HALT)
        calling = asyncio.ensure_future(_call(server, method, task))
        (process,) = await halted(observer)
        path.cut()
        await look_for(observer, process)
        assert await halted(observer) == [process]
        await go_on(observer)
        answer = await calling
    assert int(answer["meta"]["versionId"]) == int(task["meta"]["versionId"]) + 1
    assert await _logged(observer, method) == 1


async def test_a_claim_that_commits_after_its_connection_broke_is_given_back(
    observer: asyncpg.Connection, database_url: str
) -> None:
    async with over_a_path(database_url) as (server, path):
        created = await server.create()
        await observer.execute(HALT)
        waiting = asyncio.ensure_future(server.call("awf.task/long-poll", taskDefinitions=["test/task"], start=True))
        (process,) = await halted(observer)
        path.cut()
        await look_for(observer, process)
        await go_on(observer)
        (task,) = (await waiting)["resources"]
    assert (task["id"], task["retryCount"]) == (created["id"], 1)
    assert [await _logged(observer, method) for method in ("poll", "release", "poll")] == [2, 1, 2]


async def test_a_claim_that_was_rolled_back_is_sent_again(still: Headless, observer: asyncpg.Connection) -> None:
    created = await still.create()
    await observer.execute(HALT)
    waiting = asyncio.ensure_future(still.call("awf.task/long-poll", taskDefinitions=["test/task"]))
    for process in await halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await go_on(observer)
    (task,) = (await waiting)["resources"]
    assert task["id"] == created["id"]
    assert await _logged(observer, "poll") == 1


async def test_a_connection_that_is_ended_between_two_messages_of_a_statement_leaves_doubt(
    still: Headless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an outage's end does it to whatever has been under way for that long."""
    introspect: Any = vars(asyncpg.Connection)["_introspect_types"]

    async def cut_off(self: LaneConnection, *args: Any) -> Any:
        self.terminate()
        return await introspect(self, *args)

    monkeypatch.setattr(LaneConnection, "_introspect_types", cut_off)
    with pytest.raises(CommitUnknown):
        async with still.parts.database.connection() as connection:
            await connection.fetch("select null::taskrpc.task")


async def test_a_server_that_hangs_amid_a_transaction_does_not_hold_up_others_for_long(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database._HOT_SETTINGS["idle_in_transaction_session_timeout"] == "5s"
    monkeypatch.setitem(database._HOT_SETTINGS, "idle_in_transaction_session_timeout", "100ms")
    async with headless(database_url, loops=False) as hanging, headless(database_url, loops=False) as other:
        await other.call("awf.definition/put", id="limited", concurrencyLimit=1)
        await other.create("limited")

        async def hang() -> None:
            async with hanging.parts.database.connection() as connection, connection.transaction():
                await connection.execute("select from taskrpc.gate for update")
                async with asyncio.timeout(5):
                    await other.create("limited")
                await connection.execute("select")

        with pytest.raises(CommitUnknown):
            await hang()
