"""Of any number of `start` calls with one execId exactly one succeeds, whichever servers they go to."""

import asyncio
import contextlib
from collections import Counter

from tests.system.conftest import Serve
from tests.system.wire import connection, connections

CALLS = 200


async def test_of_200_concurrent_starts_with_one_exec_id_one_succeeds(database_url: str, serve: Serve) -> None:
    servers = await asyncio.gather(serve(database_url), serve(database_url))
    async with contextlib.AsyncExitStack() as stack:
        wire = await stack.enter_async_context(connection(servers[0].url))
        task = (await wire.call("awf.task/create-and-execute", definition="test/task")).result["resource"]
        (handed_out,) = (await wire.call("awf.task/poll", taskDefinitions=["test/task"])).result["resources"]
        callers = [
            caller
            for server in servers
            for caller in await stack.enter_async_context(connections(server.url, CALLS // 2))
        ]
        for caller in callers:
            caller.send("awf.task/start", id=task["id"], execId=handed_out["execId"])
        replies = await asyncio.gather(*(caller.receive() for caller in callers))
        status = (await wire.call("awf.task/status", id=task["id"], **{"include-log?": True})).result
    refusals = Counter(reply.error["type"] for reply in replies if reply.status != 200)
    assert refusals == {"wrong-status": CALLS - 1}
    assert {reply.status for reply in replies} == {200, 422}
    assert (status["resource"]["status"], status["resource"]["retryCount"]) == ("in-progress", 1)
    assert [entry["action"] for entry in status["log"]].count("awf.task/start") == 1
