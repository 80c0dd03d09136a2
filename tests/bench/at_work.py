"""Executors at work while something else goes on: how long their polls take that find a task."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.system.wire import Wire, connection

WORK: Final = "bench/at-work"
HEADINGS: Final = f"{'':<22} {'p50 ms':>8} {'p99 ms':>8} {'times':>6} {'tasks/s':>8} {'seconds':>8}"


@dataclass(frozen=True, slots=True)
class Phase:
    """Latencies of polls in milliseconds, and how long the phase took in seconds."""

    name: str
    latencies: list[float]
    seconds: float

    @property
    def median(self) -> float:
        return statistics.median(self.latencies)

    def line(self, usual: "Phase | None" = None) -> str:
        """The phase as a row of the table."""
        slow = statistics.quantiles(self.latencies, n=100)[98]
        times = f"{self.median / usual.median:6.2f}" if usual else "     1"
        rate = len(self.latencies) / self.seconds
        return f"{self.name:<22} {self.median:8.2f} {slow:8.2f} {times} {rate:8.0f} {self.seconds:8.1f}"


async def _execute(wire: Wire, latencies: list[float]) -> None:
    """Creates a task and works on one, for ever."""
    while True:
        await wire.call("awf.task/create-and-execute", definition=WORK, params={"n": 1})
        began = time.perf_counter()
        (task,) = (await wire.call("awf.task/long-poll", taskDefinitions=[WORK], start=True)).result["resources"]
        latencies.append((time.perf_counter() - began) * 1000)
        await wire.call("awf.task/success", id=task["id"], execId=task["execId"])


async def at_work(name: str, url: str, executors: int, over: Callable[[], Awaitable[None]]) -> Phase:
    """Has executors work until something is over; each creates a task and works on one, over and over."""
    latencies: list[float] = []
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        wires = [await stack.enter_async_context(connection(url)) for _ in range(executors)]
        working = [group.create_task(_execute(wire, latencies)) for wire in wires]
        began = time.perf_counter()
        await over()
        seconds = time.perf_counter() - began
        for executor in working:
            executor.cancel()
    return Phase(name, latencies, seconds)
