"""A database that can be reached and has no room: calls are refused for now, and nothing is a defect of the server."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import connected
from tests.services import Rpc
from tests.store.halting import over_a_path

_FULL = """
create function taskrpc.test_full() returns trigger language plpgsql as $$
begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
create trigger test_full before insert or update on taskrpc.task for each row execute function taskrpc.test_full();
"""


@contextlib.asynccontextmanager
async def full_disk(url: str) -> AsyncIterator[None]:
    """Nothing can be written for the length of the block."""
    async with connected(url) as connection:
        await connection.execute(_FULL)
        yield
        await connection.execute("drop trigger test_full on taskrpc.task")


async def test_calls_are_refused_for_now_while_the_disk_is_full(
    rpc: Rpc, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = await rpc.started()
    execution = {"id": task["id"], "execId": task["execId"]}
    await rpc.create("test/other")
    async with full_disk(database_url):
        replies = [
            await rpc.call("awf.task/create-and-execute", id="t0", definition="test/task"),
            await rpc.call("awf.workflow/create-and-execute", id="w0", definition="test/flow"),
            await rpc.call("awf.task/success", **execution),
            await rpc.call("awf.task/poll", taskDefinitions=["test/other"]),
        ]
    assert [(reply.status, reply.error["type"]) for reply in replies] == [(503, "unavailable")] * len(replies)
    assert "No space left" in replies[0].error["message"]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the database cannot work: could not extend file: No space left on device"
    ]
    assert (await rpc.call("awf.task/create-and-execute", id="t0", definition="test/task")).status == 200
    assert (await rpc.call("awf.task/success", **execution)).status == 200


async def test_a_long_poll_gets_its_task_when_there_is_room_again(rpc: Rpc, database_url: str) -> None:
    await rpc.create()
    async with full_disk(database_url):
        waiting = await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], timeout=100)
    assert waiting.result["resources"] == []
    reply = await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], timeout=20_000)
    assert len(reply.result["resources"]) == 1


async def test_calls_are_refused_for_now_while_the_disk_is_too_full_for_connections(database_url: str) -> None:
    async with over_a_path(database_url) as (server, path):
        path.refusal = ("53100", "could not write init file: No space left on device")
        path.cut()
        for _ in range(3):
            with pytest.raises(TaskRpcError, match=r"unavailable|outcome-unknown"):
                await server.create()
        path.refusal = None
        assert await server.parts.database.wait_available(20)
        await server.create()
