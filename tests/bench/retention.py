"""`python -m tests.bench.retention`: what deleting a million done tasks costs the executors that work meanwhile.

Measures how long polls take that find a task, first alone and then while one server deletes, by retention and by a
clean-up. The exit status is 1 where the median is more than twice the usual one. A quick try: `--tasks 20000`.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg

from taskrpc.bench.ballast import fill
from taskrpc.bench.cluster import Cluster, opened
from taskrpc.bench.messages import DEFINITION
from taskrpc.bench.servers import serving
from taskrpc.core.built_in import CLEAN_UP
from tests.databases import connected
from tests.system.wire import Wire, connection

MOST_TIMES: Final = 2.0
_LOOK_SECONDS: Final = 0.25
_WORK: Final = "bench/retention-work"
# The ballast's ids are of long ago; looking for one costs next to nothing, counting them would be felt.
_LEFT: Final = "select exists (select from taskrpc.task where id < '01' and name = $1)"


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
        await wire.call("awf.task/create-and-execute", definition=_WORK, params={"n": 1})
        began = time.perf_counter()
        (task,) = (await wire.call("awf.task/long-poll", taskDefinitions=[_WORK], start=True)).result["resources"]
        latencies.append((time.perf_counter() - began) * 1000)
        await wire.call("awf.task/success", id=task["id"], execId=task["execId"])


async def _measured(name: str, url: str, executors: int, over: Callable[[], Awaitable[None]]) -> Phase:
    """Has executors work until something is over."""
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


async def _gone(database: asyncpg.Connection) -> None:
    while await database.fetchval(_LEFT, DEFINITION):  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(_LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _filled(cluster: Cluster, tasks: int) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    async with cluster.database() as url:
        await fill(url, tasks, 0, lambda text: print(text, file=sys.stderr))
        await cluster.settle()
        async with connected(url) as database:
            yield url, database


async def _usual(url: str, options: argparse.Namespace) -> Phase:
    async with serving(url, 1) as servers:
        await _measured("", servers.urls[0], options.executors, lambda: asyncio.sleep(2))
        return await _measured("alone", servers.urls[0], options.executors, lambda: asyncio.sleep(options.seconds))


async def _by_retention(cluster: Cluster, options: argparse.Namespace) -> tuple[Phase, Phase]:
    async with _filled(cluster, options.tasks) as (url, database):
        usual = await _usual(url, options)
        await database.execute("update taskrpc.task set expire_at = now() where name = $1", DEFINITION)
        await database.execute("vacuum analyze taskrpc.task")
        async with serving(url, 1) as servers:
            over = _measured("while expiring", servers.urls[0], options.executors, lambda: _gone(database))
            return usual, await over


async def _by_clean_up(cluster: Cluster, options: argparse.Namespace) -> tuple[Phase, Phase]:
    async with _filled(cluster, options.tasks) as (url, database):
        usual = await _usual(url, options)
        async with serving(url, 1) as servers, connection(servers.urls[0]) as wire:
            rules = [{"retentionPolicy": {"unit": "minute", "value": 0}, "includeDefinitions": [DEFINITION]}]
            await wire.call("awf.task/create-and-execute", definition=CLEAN_UP, params={"rules": rules})
            over = _measured("while cleaning up", servers.urls[0], options.executors, lambda: _gone(database))
            return usual, await over


async def _run(options: argparse.Namespace) -> int:
    print(f"{'':<22} {'p50 ms':>8} {'p99 ms':>8} {'times':>6} {'tasks/s':>8} {'seconds':>8}")
    status = 0
    async with opened(options.database_url) as cluster:
        for measure in (_by_retention, _by_clean_up):
            usual, deleting = await measure(cluster, options)
            print(usual.line(), deleting.line(usual), sep="\n", flush=True)
            if deleting.median > MOST_TIMES * usual.median:
                status = 1
    return status


def main() -> int:
    """Measures and prints a table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.retention", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000, help="done tasks to be deleted; default 1000000")
    parser.add_argument("--executors", type=int, default=8, help="how many work meanwhile; default 8")
    parser.add_argument("--seconds", type=float, default=10, help="how long they are measured alone; default 10")
    parser.add_argument("--database-url", help="PostgreSQL to use; without, an embedded one")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
