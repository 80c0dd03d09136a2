"""Executors as bad as they come: they fail, die, dawdle, and come back with results that nobody waits for any more."""

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from tests.services import Reply
from tests.system.wire import Wire

REFUSALS: Final = frozenset({"stale-exec-id", "wrong-status"})


@dataclass(slots=True)
class Ledger:
    """What executors know of the successful ends of tasks: execIds per task."""

    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unanswered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: int = 0
    deaths: int = 0


class BadExecutor:
    """Works on one definition through one server, until it is cancelled; its chances are reproducible."""

    def __init__(self, url: str, definition: str, ledger: Ledger, seed: int) -> None:
        self._url = url
        self._definition = definition
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._abandoned: list[Any] = []
        self._wire: Wire

    async def run(self) -> None:
        """Polls and executes for ever."""
        self._wire = await Wire.open(self._url)
        try:
            while True:
                for task in await self._poll():
                    await self._execute(task)
                if self._abandoned and self._happens(0.5):
                    await self._succeed(self._abandoned.pop(0))
        finally:
            self._wire.hang_up()

    def _happens(self, probability: float) -> bool:
        return self._chance.random() < probability

    async def _die(self) -> None:
        """The process is gone, and another one takes its place."""
        self._ledger.deaths += 1
        self._wire.hang_up()
        self._wire = await Wire.open(self._url)

    def _poll_params(self) -> dict[str, Any]:
        return {
            "taskDefinitions": [self._definition],
            "maxBatchSize": self._chance.randint(1, 8),
            "start": self._happens(0.3),
            "timeout": 300,
        }

    async def _poll(self) -> list[Any]:
        method = "awf.task/long-poll" if self._happens(0.7) else "awf.task/poll"
        self._wire.send(method, **self._poll_params())
        if self._happens(0.02):
            await self._die()
            return []
        tasks: list[Any] = (await self._wire.receive()).result["resources"]
        if tasks and self._happens(0.05):
            await self._die()
            return []
        return tasks

    async def _execute(self, task: Any) -> None:
        if task["status"] == "requested":
            if self._happens(0.02):
                return  # forgotten: it was requested, and is never started
            started = await self._wire.call("awf.task/start", id=task["id"], execId=task["execId"])
            if not self._accepted(started):
                return
        if self._happens(0.03):
            self._abandoned.append(task)
        elif self._happens(0.1):
            reply = await self._wire.call("awf.task/fail", id=task["id"], execId=task["execId"], error="bad luck")
            self._accepted(reply)
        else:
            await self._succeed(task)

    async def _succeed(self, task: Any) -> None:
        following = {"poll": self._poll_params() | {"timeout": 0}} if self._happens(0.3) else {}
        self._wire.send("awf.task/success", id=task["id"], execId=task["execId"], result={"ok": True}, **following)
        self._ledger.unanswered[task["id"]].add(task["execId"])
        if self._happens(0.02):
            await self._die()
            return
        reply = await self._wire.receive()  # the fleet may be called off in here
        self._ledger.unanswered[task["id"]].discard(task["execId"])
        if self._accepted(reply):
            self._ledger.acknowledged[task["id"]].append(task["execId"])
            for further in reply.result.get("resources", ()):
                await self._execute(further)

    def _accepted(self, reply: Reply) -> bool:
        if reply.status == 200:
            return True
        assert reply.error["type"] in REFUSALS, reply.error
        self._ledger.refused += 1
        return False


async def run_fleet(urls: list[str], count: int, definition: str, ledger: Ledger) -> None:
    """Lets so many executors work through several servers, until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for n in range(count):
            group.create_task(BadExecutor(urls[n % len(urls)], definition, ledger, seed=n).run())
