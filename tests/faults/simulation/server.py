"""The model of a server: methods over the store, connections to it that break, repeats by the ids of calls."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from taskrpc.core.lifecycle import Call, not_found
from taskrpc.errors import TaskRpcError
from tests.faults.recorder import Writer
from tests.faults.simulation.store import Store

_REAPER_SECONDS: Final = 1.0
_SLOW_POLL_SECONDS: Final = 1.0
_RECOVERY_SECONDS: Final = 5.0

T = TypeVar("T")


class _Lost(Exception):
    """The connection broke; whether the statement was carried out nobody knows."""


class SimulatedServer:
    """Carries out calls on the store; `breaks` is the chance that a statement's connection breaks."""

    def __init__(self, name: str, store: Store, recorder: Writer, chance: random.Random, breaks: float) -> None:
        self.name = name
        self.breaks = breaks
        self._store = store
        self._recorder = recorder
        self._chance = chance
        self._calls: dict[asyncio.Task[Any], None] = {}  # in order: what is drawn from the seed depends on it

    async def look_after_things(self) -> None:
        """The loops of the server: the reaper and the pump."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.05, _REAPER_SECONDS))
            self._store.reap()
            self._store.pump()

    def kill(self) -> None:
        """Nothing that is under way is answered; what was sent to the store may still be carried out, or not."""
        for call in list(self._calls):
            call.cancel()

    async def serve(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one call; raises TaskRpcError, or CancelledError when the server is killed."""
        task = asyncio.ensure_future(self._carry_out(method, params))
        self._calls[task] = None
        try:
            return await task
        finally:
            del self._calls[task]
            task.cancel()

    async def _carry_out(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        room, _, name = method.removeprefix("awf.").partition("/")
        if name in ("poll", "long-poll"):
            return {"resources": await self._poll(params)}
        if name == "create-and-execute":
            return await self._create("workflow" if room == "workflow" else "task", params)
        if name in ("status", "result"):
            return await self._through_outages(lambda: self._status(room, params))
        call_id = params.get("callId") or self._store.identifier()
        if room == "workflow":
            ended = await self._through_outages(
                lambda: self._store.end_workflow(params["id"], "cancel", "canceled", call_id).resource()
            )
            return {"resource": ended}
        call = Call(name, params["id"], call_id, "callId" in params, params.get("execId"))
        return await self._through_outages(lambda: self._changed(call, params))

    def _changed(self, call: Call, params: Mapping[str, Any]) -> dict[str, Any]:
        resource = self._store.change(call, params)
        stop = {"stopRequested": True} if self._store.rows[call.task_id].stop_requested else {}
        return {"inProgressTimeout": 0, **stop} if call.name == "notify" else {"resource": resource}

    def _status(self, room: str, params: Mapping[str, Any]) -> dict[str, Any]:
        row = self._store.rows.get(params["id"])
        if row is None:
            raise not_found(params["id"], room)
        children = [each.resource() for each in self._store.rows.values() if each.parent_id == row.id]
        activities = [each for each in children if "workflow-definition" not in each]
        return {"resource": row.resource()} | ({"activities": activities} if room == "workflow" else {})

    async def _create(self, kind: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        given = {"id": self._store.identifier(), **params}
        call_id = self._store.identifier()
        return {"resource": await self._through_outages(lambda: self._store.create(given, kind, call_id).resource())}

    async def _poll(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        deadline = asyncio.get_running_loop().time() + params.get("timeout", 0) / 1000
        while True:
            rows = await self._claim(params)
            left = deadline - asyncio.get_running_loop().time()
            if rows or left <= 0:
                return rows
            await asyncio.sleep(min(left, self._chance.uniform(0.01, _SLOW_POLL_SECONDS)))

    async def _claim(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        claim_id = self._store.identifier()
        queues = (params.get("taskDefinitions", ()), params.get("workflowDefinitions", ()))
        size = (params.get("maxBatchSize", 1), params.get("start", False))

        def claim() -> list[dict[str, Any]]:
            return [row.resource() for row in self._store.claim(*queues, *size, claim_id)]

        try:
            return await self._statement(claim)
        except _Lost:
            await asyncio.sleep(self._chance.uniform(0, 0.5))
            self._store.give_back(claim_id)
            return []

    async def _statement(self, work: Callable[[], T]) -> T:
        """Work at one moment, on the way to and from which the connection may break."""
        await asyncio.sleep(self._chance.uniform(0, 0.005))
        broken = self._chance.random() < self.breaks
        if broken and self._chance.random() < 0.5:
            raise _Lost
        result = work()
        await asyncio.sleep(self._chance.uniform(0, 0.005))
        if broken:
            raise _Lost
        return result

    async def _through_outages(self, work: Callable[[], T]) -> T:
        """Work that is done again, with the same ids, when its connection broke."""
        deadline = asyncio.get_running_loop().time() + _RECOVERY_SECONDS
        while True:
            try:
                return await self._statement(work)
            except _Lost:
                number = self._chance.getrandbits(48)
                self._recorder.write("fault", number=number, fault="drop-commits", target=self.name)
                await asyncio.sleep(self._chance.choice((0.001, 0.05, 0.5, 2.0)))
                self._recorder.write("healed", number=number)
                if asyncio.get_running_loop().time() >= deadline:
                    raise TaskRpcError("outcome-unknown", "repeat the call") from None
