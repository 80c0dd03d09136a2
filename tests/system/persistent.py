"""Clients that never give up: they repeat a call, with the same ids, until it is answered for good."""

import asyncio
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from tests.services import Reply
from tests.system.waiting import until
from tests.system.wire import Wire

FOR_NOW: Final = {503: "unavailable", 504: "outcome-unknown"}


@dataclass(slots=True)
class Account:
    """What was acknowledged to the clients, and how often they were asked to try again."""

    created: list[str] = field(default_factory=list)
    succeeded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)


class Persistent:
    """One client of one server."""

    def __init__(self, url: str, definition: str, account: Account) -> None:
        self._url = url
        self._definition = definition
        self._account = account

    async def _call(self, wire: Wire, method: str, **params: Any) -> Reply:
        async def settled() -> Reply | None:
            reply = await wire.call(method, **params)
            self._account.statuses[reply.status] += 1
            if reply.status not in FOR_NOW:
                return reply
            assert reply.error["type"] == FOR_NOW[reply.status]
            assert int(reply.headers["retry-after"]) > 0
            return None

        return await until(settled)

    async def create(self, stop: asyncio.Event) -> None:
        """Creates tasks until it is told to stop."""
        wire = await Wire.open(self._url)
        try:
            while not stop.is_set():
                task_id = str(uuid.uuid4())
                call = {"id": task_id, "definition": self._definition, "params": {"id": task_id}}
                reply = await self._call(wire, "awf.task/create-and-execute", **call)
                # A repeat is told that the task exists: an earlier call made it, whose answer was lost.
                resource = reply.result["resource"] if reply.status == 200 else reply.error["data"]["resource"]
                assert resource["params"] == {"id": task_id}
                self._account.created.append(task_id)
        finally:
            await wire.close()

    async def execute(self) -> None:
        """Executes tasks until it is cancelled."""
        wire = await Wire.open(self._url)
        try:
            while True:
                poll = {"taskDefinitions": [self._definition], "maxBatchSize": 4, "timeout": 1000}
                for task in (await self._call(wire, "awf.task/long-poll", **poll)).result["resources"]:
                    await self._finish(wire, task)
        finally:
            wire.hang_up()

    async def _finish(self, wire: Wire, task: Any) -> None:
        execution = {"id": task["id"], "execId": task["execId"]}
        started = await self._call(wire, "awf.task/start", callId=str(uuid.uuid4()), **execution)
        if started.status == 200:
            reply = await self._call(wire, "awf.task/success", callId=str(uuid.uuid4()), result={}, **execution)
            if reply.status == 200:
                self._account.succeeded[task["id"]].append(task["execId"])
