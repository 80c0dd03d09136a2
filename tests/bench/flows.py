"""`python -m tests.bench.flows`: whether a loop over many values costs more per value than one over few.

A flow whose ForEach starts a task for each value, so many side by side; eight executors do the tasks, over the bare
protocol. Measured are the time per value and how much memory the server takes more afterwards than before. The exit
status is 1 where a value of the large loop takes more than 1.5 times as long as one of the small, or where the server
takes more than MOST_MEGABYTES more. A quick try: `--large 200 --small 20 --rounds 1`.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from taskrpc.bench.cluster import opened
from taskrpc.bench.servers import serving
from tests.system.wire import Wire, connection

MOST_TIMES: Final = 1.5
MOST_MEGABYTES: Final = 200.0
_WORK: Final = "bench/step"
_EXECUTORS: Final = 8
_AT_ONCE: Final = 10
_LONGEST_MS: Final = 600_000


def flow(limit: int) -> dict[str, Any]:
    """The flow: its input says over how many values it goes."""
    work = {"id": "work", "type": _WORK, "of": "{{ taskrun.value }}"}
    values = "{{ inputs.values | toJson }}"
    each = {"id": "each", "type": "core.flow.ForEach", "values": values, "concurrencyLimit": limit, "tasks": [work]}
    return {
        "id": "loop",
        "namespace": "bench",
        "inputs": [{"id": "values", "type": "JSON"}],
        "tasks": [each],
    }


async def _work(wire: Wire) -> None:
    """Does tasks, some at a time, for ever."""
    poll = {"taskDefinitions": [_WORK], "start": True, "timeout": _LONGEST_MS, "maxBatchSize": _AT_ONCE}
    while True:
        tasks = (await wire.call("awf.task/long-poll", **poll)).result["resources"]
        for task in tasks:
            result = {"made": task["params"]["of"]}
            await wire.call("awf.task/success", id=task["id"], execId=task["execId"], result=result)


@contextlib.asynccontextmanager
async def _executors(url: str) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        wires = [await stack.enter_async_context(connection(url)) for _ in range(_EXECUTORS)]
        working = [group.create_task(_work(wire)) for wire in wires]
        yield
        for each in working:
            each.cancel()


async def _seconds(wire: Wire, values: int) -> float:
    """How long a loop over so many values takes."""
    began = time.perf_counter()
    params = {"values": list(range(values))}
    created = await wire.call("awf.workflow/create-and-execute", definition="bench.loop", params=params)
    assert created.status == 200, created.body
    ended = await wire.call("awf.workflow/result", id=created.result["resource"]["id"], timeout=_LONGEST_MS)
    assert ended.result["resource"]["state"] == "SUCCESS", ended.body
    return time.perf_counter() - began


def _megabytes(pid: int) -> float:
    """How much memory a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


async def _measure(url: str, pid: int, options: argparse.Namespace) -> bool:
    async with connection(url) as wire, _executors(url):
        assert (await wire.call("awf.flow/put", **flow(options.limit))).status == 200
        await _seconds(wire, options.small)
        before = _megabytes(pid)
        small, large = [], []
        for _ in range(options.rounds):  # alternating: what else the machine does concerns both
            small.append(await _seconds(wire, options.small) / options.small)
            large.append(await _seconds(wire, options.large) / options.large)
        grown = _megabytes(pid) - before
    few, many = statistics.median(small) * 1000, statistics.median(large) * 1000
    print(f"{few:12.2f} {many:12.2f} {many / few:8.2f} {before:12.0f} {grown:12.0f}", flush=True)
    return many <= MOST_TIMES * few and grown <= MOST_MEGABYTES


async def _run(options: argparse.Namespace) -> int:
    print(f"ms per value of a ForEach with limit {options.limit}, MB of the server")
    print(f"{f'of {options.small}':>12} {f'of {options.large}':>12} {'times':>8} {'MB before':>12} {'MB more':>12}")
    async with opened(options.database_url) as cluster, cluster.database() as url, serving(url, 1) as servers:
        good = await _measure(servers.urls[0], servers.pids[0], options)
    return 0 if good else 1


def main() -> int:
    """Measures and prints a table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flows", description=__doc__)
    parser.add_argument("--small", type=int, default=1000, help="values of the small loop; default 1000")
    parser.add_argument("--large", type=int, default=10_000, help="values of the large loop; default 10000")
    parser.add_argument("--limit", type=int, default=50, help="how many of them side by side; default 50")
    parser.add_argument("--rounds", type=int, default=3, help="loops of each size; default 3")
    parser.add_argument("--database-url", help="PostgreSQL to use; without, an embedded one")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
