"""Starting jobs from many sides: the limit of the queue is exact."""

import asyncio

from taskrpc.app import Running
from tests.services import Rpc, running_service

DEFINITION = "test/job"
CREATORS = 50
LIMIT = 20


async def test_50_creators_on_two_servers_fill_a_queue_exactly(rpc: Rpc, service: Running, database_url: str) -> None:
    await rpc.call("awf.definition/put", id=DEFINITION, queueLimit=LIMIT)
    async with running_service(database_url) as second, Rpc(second.url) as other:

        async def create(n: int) -> tuple[int, str]:
            caller = (rpc, other)[n % 2]
            reply = await caller.call("awf.task/create-and-execute", definition=DEFINITION)
            return reply.status, reply.body.get("error", {}).get("type", "created")

        for _ in range(3):
            answers = await asyncio.gather(*(create(n) for n in range(CREATORS)))
            assert answers.count((200, "created")) == LIMIT
            assert answers.count((429, "queue-limit-reached")) == CREATORS - LIMIT
            listed = (await rpc.call("awf.task/list", filter={"status": "ready"}, count=1000)).result
            assert listed["total"] == LIMIT
            for task in listed["resources"]:
                await rpc.call("awf.task/cancel", id=task["id"])


async def test_nothing_of_what_was_refused_is_kept(rpc: Rpc) -> None:
    await rpc.call("awf.definition/put", id=DEFINITION, queueLimit=0)
    refused = await rpc.call("awf.task/create-and-execute", definition=DEFINITION, id="job-1")
    assert (refused.status, refused.error["type"]) == (429, "queue-limit-reached")
    assert (await rpc.call("awf.task/status", id="job-1")).error["type"] == "task-not-found"
    assert (await rpc.get("/AidboxTaskLog", **{".subject.id": "job-1"})).body["total"] == 0
