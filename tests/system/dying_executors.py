"""Executors of workflows that die at any moment: before they start, at work, and before they hear an answer."""

import asyncio
import random
from collections import Counter
from typing import Any, Final

from tests.services import Reply
from tests.system.fleet import REFUSALS
from tests.system.wire import Wire

FLOW: Final = "fleet/flow"
STEP: Final = "fleet/step"
POISONED: Final = "fleet/poisoned"
STEPS: Final = 5
_DEATH: Final = 0.01


def next_actions(params: Any, activities: list[Any]) -> list[Any]:
    """What a workflow does next: its steps one by one or all at once; where one is poisoned, it is undone."""
    of_label = {activity["label"]: activity for activity in activities}
    failed = [activity for activity in activities if activity.get("outcome") == "failed"]
    if failed:
        undone = of_label.get("undo", {}).get("outcome")
        return [_fail(failed[0]["label"])] if undone else [_schedule(STEP, "undo")]
    if all(of_label.get(f"step-{n}", {}).get("outcome") == "succeeded" for n in range(STEPS)):
        return [{"action": "awf.workflow.action/complete-workflow", "result": {"steps": len(activities)}}]
    upcoming = range(STEPS) if params["kind"] == "parallel" else [len(activities)]
    definitions = {2: POISONED} if params["kind"] == "poisoned" else {}
    return [_schedule(definitions.get(n, STEP), f"step-{n}") for n in upcoming]


def _schedule(definition: str, label: str) -> Any:
    request = {"definition": definition, "label": label}
    return {"action": "awf.workflow.action/schedule-task", "task-request": request}


def _fail(label: str) -> Any:
    return {"action": "awf.workflow.action/fail", "error": {"failed": label}}


class DyingExecutor:
    """Makes decisions and does steps through one server, until it is cancelled; its chances are reproducible."""

    def __init__(self, url: str, seed: int, seen: Counter[str]) -> None:
        self._url = url
        self._chance = random.Random(seed)
        self._seen = seen
        self._wire: Wire

    async def run(self) -> None:
        """Polls and executes for ever."""
        self._wire = await Wire.open(self._url)
        try:
            while True:
                for task in await self._poll():
                    await self._execute(task)
        finally:
            self._wire.hang_up()

    async def _dies(self) -> bool:
        """Perhaps the process is gone, and another one takes its place."""
        if self._chance.random() >= _DEATH:
            return False
        self._seen["deaths"] += 1
        self._wire.hang_up()
        self._wire = await Wire.open(self._url)
        return True

    async def _poll(self) -> list[Any]:
        queues = {"taskDefinitions": [STEP, POISONED], "workflowDefinitions": [FLOW]}
        size = self._chance.randint(1, 4)
        reply = await self._wire.call("awf.task/long-poll", **queues, maxBatchSize=size, timeout=200)
        resources: list[Any] = reply.result["resources"]
        return resources

    async def _execute(self, task: Any) -> None:
        if await self._dies():
            return
        started = await self._wire.call("awf.task/start", id=task["id"], execId=task["execId"])
        if not self._accepted(started) or await self._dies():
            return
        if task["definition"] == POISONED:
            await self._end("fail", task, error="poison")
        elif "workflow-definition" in task:
            await self._end("success", task, result=await self._decide(task["requester"]["id"]))
        else:
            await self._end("success", task, result={"done": task["label"]})

    async def _decide(self, workflow_id: str) -> list[Any]:
        asked = {"id": workflow_id, "include-activities?": True}
        status = (await self._wire.call("awf.workflow/status", **asked)).result
        return next_actions(status["resource"]["params"], status["activities"])

    async def _end(self, method: str, task: Any, **document: Any) -> None:
        call = {"id": task["id"], "execId": task["execId"], **document}
        self._wire.send(f"awf.task/{method}", **call)
        if await self._dies():
            return
        self._accepted(await self._wire.receive())
        if self._chance.random() < 0.05:  # it did not trust the answer
            self._accepted(await self._wire.call(f"awf.task/{method}", **call))

    def _accepted(self, reply: Reply) -> bool:
        if reply.status == 200:
            return True
        assert reply.error["type"] in REFUSALS, reply.error
        self._seen["refusals"] += 1
        return False


async def run_dying_executors(urls: list[str], count: int, seen: Counter[str]) -> None:
    """Lets so many executors work through several servers, until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for n in range(count):
            group.create_task(DyingExecutor(urls[n % len(urls)], n, seen).run())
