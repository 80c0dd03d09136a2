"""Short traces: each is about one safeguard, violates nothing while it is there, and shows that it is not."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.faults.flows import FLOW, STEP, next_actions
from tests.faults.links import Link, Weather, answered
from tests.faults.mutants.stage import Caller, Stage
from tests.faults.story import PLAIN


async def slow_executor(stage: Stage) -> None:
    """An executor is too slow, another one gets its task; then the first one comes back."""
    client = stage.client(await stage.server())
    await client.call("awf.task/create-and-execute", id="t", definition=PLAIN, params={"nonce": "n"})
    (old,) = await client.poll(taskDefinitions=[PLAIN], timeout=5000)
    (new,) = await client.poll(taskDefinitions=[PLAIN], timeout=9000)
    await client.succeed(old)
    await client.succeed(new)


async def lost_hint(stage: Stage) -> None:
    """A task is created at one server while somebody waits for it at another, and no hint goes between them."""
    first, second = await stage.server(), await stage.server()
    waiting = stage.client(second, "waiting")
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(waiting.poll(taskDefinitions=[PLAIN], timeout=6000))
        await second.waiting(polls=1)
        await stage.client(first).call("awf.task/create-and-execute", id="t", definition=PLAIN, params={"nonce": "n"})
    for task in poll.result():
        await waiting.succeed(task)


async def create_without_an_answer(stage: Stage) -> None:
    """The answer to a create is lost, and the client repeats it by itself."""
    server = await stage.server()
    host, _, port = server.url.removeprefix("http://").partition(":")
    link = Link((host, int(port)), answered)
    link.weather = Weather(swallow=1)
    url = await link.listen()
    nonce = str(uuid.uuid4())
    params = {"definition": PLAIN, "params": {"nonce": nonce}}
    shown = {"client": "command", "server": "link", "method": "awf.task/create-and-execute", "params": params}
    stage.recorder.write("invoke", op="command:1", **shown)
    arguments = (f"definition={PLAIN}", f"params.nonce={nonce}")
    out = await stage.call_by_hand(url, "task/create-and-execute", *arguments)
    stage.recorder.write("ok", op="command:1", answer=orjson.loads(out))
    assert link.swallowed == 1
    await link.close()


async def wrong_clock(stage: Stage) -> None:
    """The server's clock is 90 s ahead, and a task is to be due in two seconds."""
    stage.set_clocks_ahead()
    client = stage.client(await stage.server())
    due_at = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    await client.call("awf.task/create-and-execute", id="t", definition=PLAIN, params={"nonce": "n"}, executeAt=due_at)
    await _worked_off(client, 1, taskDefinitions=[PLAIN])


async def many_events(stage: Stage) -> None:
    """All steps of a workflow end while nobody decides."""
    client = stage.client(await stage.server())
    params = {"kind": "parallel", "nonce": "n"}
    await client.call("awf.workflow/create-and-execute", id="w", definition=FLOW, params=params)
    await _decide(client, (await client.poll(workflowDefinitions=[FLOW], timeout=5000))[0])
    await _worked_off(client, 5, taskDefinitions=[STEP])
    while decisions := await client.poll(workflowDefinitions=[FLOW], maxBatchSize=10, timeout=1500):
        for decision in decisions:
            await _decide(client, decision)


async def _worked_off(client: Caller, count: int, **queues: Any) -> None:
    while count:
        for task in await client.poll(**queues, maxBatchSize=10, timeout=5000):
            await client.succeed(task)
            count -= 1


async def _decide(client: Caller, decision: Any) -> None:
    status = await client.call("awf.workflow/status", id="w", **{"include-activities?": True})
    await client.succeed(decision, next_actions(status["resource"]["params"], status["activities"]))
