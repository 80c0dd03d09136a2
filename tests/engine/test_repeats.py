"""Calls that are sent again: the same `callId` gets the same answer, and has its effect once."""

import asyncio

import pytest

from taskrpc.errors import TaskRpcError
from tests.engine.headless import Headless, headless


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("start", {}),
        ("notify", {"notification": "heartbeat"}),
        ("feedback", {"feedback": 1, "append": True}),
        ("success", {"result": {"rows": 3}}),
        ("fail", {"error": "no"}),
        ("release", {}),
    ],
)
async def test_a_call_that_comes_twice_at_once_on_two_servers_has_its_effect_once(
    server: Headless, database_url: str, method: str, params: dict[str, object]
) -> None:
    async with headless(database_url) as other:
        created = await server.create()
        (task,) = await server.poll(start=method != "start")
        call = {"id": task["id"], "execId": task["execId"], "callId": "once", **params}
        answers = await asyncio.gather(*(s.call(f"awf.task/{method}", **call) for s in [server, other] * 5))
    assert all(answer == answers[0] for answer in answers)
    version = int((await server.status(created))["meta"]["versionId"])
    assert version == int(task["meta"]["versionId"]) + 1


async def test_a_call_id_that_another_method_used_is_a_new_call(server: Headless) -> None:
    task = await server.started()
    async with asyncio.timeout(5):
        await server.call("awf.task/notify", id=task["id"], execId=task["execId"], callId="c", notification="heartbeat")
        await server.of("feedback", task, feedback="f", callId="c")
        assert (await server.call("awf.task/stop", id=task["id"], callId="c"))["stopRequested"]
        assert (await server.call("awf.task/cancel", id=task["id"], callId="c"))["resource"]["outcome"] == "canceled"
        assert (await server.call("awf.task/retry", id=task["id"], callId="c"))["resource"]["status"] == "ready"


async def test_an_end_without_a_call_id_is_a_repeat_only_for_the_execution_that_ended_the_task(
    server: Headless,
) -> None:
    task = await server.started()
    ended = await server.of("success", task, result=1)
    assert await server.of("success", task, result=2) == ended
    with pytest.raises(TaskRpcError, match="wrong-status"):
        await server.of("success", task, result=1, callId="another")
    with pytest.raises(TaskRpcError, match="stale-exec-id"):
        await server.of("success", {**task, "execId": "foreign"}, result=1)
    with pytest.raises(TaskRpcError, match="wrong-status"):
        await server.of("fail", task)
