"""Runs scenarios on a cluster: a database, servers and a load for each."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from taskrpc.bench.ballast import fill, old_snapshot
from taskrpc.bench.cluster import Cluster
from taskrpc.bench.measurement import Figures, measure
from taskrpc.bench.scenarios import Scenario, Timing
from taskrpc.bench.servers import SERVE, StartServers, starting

LOAD: Final = (sys.executable, "-m", "taskrpc.bench.driver")
Tell = Callable[[str], None]


async def run_scenario(
    scenario: Scenario, cluster: Cluster, timing: Timing, tell: Tell, servers: StartServers | None = None
) -> Figures:
    """One run, of `taskrpc serve` or of other `servers`; `tell` hears of what takes long before it. Raises LoadError,
    TaskRpcError."""
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(_database(scenario, cluster, tell))
        if scenario.old_snapshot:
            await stack.enter_async_context(old_snapshot(url))
        start = servers or starting((*SERVE, *scenario.options))
        running = await stack.enter_async_context(start(url, scenario.servers))
        plan = replace(scenario.load, urls=running.urls, seconds=timing.seconds, warm_up=timing.warm_up)
        return await measure(LOAD, plan.encode(), cluster, running.pids, plan.waiting)


@contextlib.asynccontextmanager
async def _database(scenario: Scenario, cluster: Cluster, tell: Tell) -> AsyncIterator[str]:
    """A fresh database; one that took minutes to fill stays for the next rounds."""
    if not scenario.done and not scenario.ready:
        async with cluster.database() as url:
            yield url
        return
    url, is_new = await cluster.kept_database(f"{scenario.done}/{scenario.ready}")
    if is_new:
        await fill(url, scenario.done, scenario.ready, tell)
    yield url
