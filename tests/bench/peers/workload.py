"""The work that every peer in Python is given. It runs in the peers' own environment: nothing but the standard library.

It is told what to do, and tells of events, as taskrpc.bench.window describes. What is counted are jobs whose handler
has run.

    single    `producers` coroutines enqueue one by one while the worker works; they wait while `most_waiting` jobs are
              enqueued and not handled
    drain     `jobs` were enqueued before; how fast the worker empties the queue, to the last completion in the database
    pick-up   one job at a time in an idle system: from the call to enqueue to the handler
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

ENQUEUED_AT_ONCE = 100
PAUSE_SECONDS = 0.025
LOOK_SECONDS = 0.005
DRAIN_SECONDS = 120.0

Enqueue = Callable[[dict[str, Any]], Awaitable[object]]
EnqueueMany = Callable[[list[dict[str, Any]]], Awaitable[object]]
Work = Callable[[], Coroutine[Any, Any, None]]
Unfinished = Callable[[], Awaitable[int]]


def say(event: str, **fields: object) -> None:
    """Tells the process that measures."""
    print(json.dumps({"event": event, **fields}), flush=True)


def payload(size: int, sent: float) -> dict[str, Any]:
    """A job of about `size` bytes of JSON that knows when it was enqueued."""
    return {"sent": sent, "note": "x" * max(size - 40, 0)}


class Workload:
    """One run: counts, times and tells."""

    def __init__(self) -> None:
        self.order: dict[str, Any] = json.loads(sys.stdin.readline())
        self._room = asyncio.Semaphore(self.order["most_waiting"])
        self._counts = False
        self._began = 0.0
        self._latencies: list[int] = []
        self._handled = 0
        self._target = 0
        self._arrived = asyncio.Event()
        self._reached = asyncio.Event()

    def handled(self, job: dict[str, Any]) -> None:
        """A handler has run."""
        self._arrived.set()
        self._room.release()
        if self._counts:
            self._handled += 1
            self._latencies.append(round((time.perf_counter() - job["sent"]) * 1e6))
            if self._handled == self._target:
                self._reached.set()

    async def run(self, enqueue: Enqueue, enqueue_many: EnqueueMany, work: Work, unfinished: Unfinished) -> None:
        """Carries out the order. `work` is the worker, which runs until it is cancelled; `unfinished` counts the jobs
        that are not completed in the database."""
        mode = self.order["mode"]
        if mode == "drain":
            await self._fill(enqueue_many)
            self._counts, self._target = True, self.order["jobs"]
        others = [asyncio.ensure_future(work())]
        if mode == "drain":
            await self._drain(unfinished)
        elif mode == "single":
            others += [asyncio.ensure_future(self._produce(enqueue)) for _ in range(self.order["producers"])]
            await self._for_a_time(asyncio.sleep)
        else:
            await self._for_a_time(lambda seconds: self._one_at_a_time(enqueue, seconds))
        for other in others:
            if other.done():
                other.result()  # a worker that ended has failed
        sys.stdin.read()  # until it is closed
        os._exit(0)  # a worker that is told to stop would finish all jobs that are left

    def _job(self) -> dict[str, Any]:
        return payload(self.order["payload"], time.perf_counter())

    async def _for_a_time(self, pass_time: Callable[[float], Awaitable[None]]) -> None:
        await pass_time(self.order["warm_up"])
        self._begin()
        await pass_time(self.order["seconds"])
        self._end()

    def _begin(self) -> None:
        say("begin")
        self._counts, self._began = True, time.perf_counter()

    def _end(self) -> None:
        seconds = time.perf_counter() - self._began
        self._counts = False
        say("end")
        say("result", tasks=self._handled, seconds=seconds, latencies=self._latencies)

    async def _produce(self, enqueue: Enqueue) -> None:
        while True:
            await self._room.acquire()
            await enqueue(self._job())

    async def _fill(self, enqueue_many: EnqueueMany) -> None:
        jobs = self.order["jobs"]
        for made in range(0, jobs, ENQUEUED_AT_ONCE):
            await enqueue_many([self._job() for _ in range(min(ENQUEUED_AT_ONCE, jobs - made))])

    async def _drain(self, unfinished: Unfinished) -> None:
        await self._arrived.wait()
        self._begin()
        async with asyncio.timeout(DRAIN_SECONDS):
            await self._reached.wait()
            while await unfinished():  # noqa: ASYNC110  (the database sets no event)
                await asyncio.sleep(LOOK_SECONDS)
        self._end()

    async def _one_at_a_time(self, enqueue: Enqueue, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._arrived.clear()
            await enqueue(self._job())
            await self._arrived.wait()
            await asyncio.sleep(PAUSE_SECONDS)
