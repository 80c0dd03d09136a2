"""`python -m tests.bench.waits`: how late waits end, and what a hundred thousand of them cost the executors' polls.

Measures how long after its time each wait has ended, by the database's clock, and how long polls take that find a
task: first without, then with many tasks beside them that wait for hours. The exit status is 1 where a wait was early
or more than 100 ms late, or the median of the polls is more than twice the usual one. A quick try:
`--waiting 5000 --seconds 2`.
"""

import argparse
import asyncio
import random
import statistics
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from taskrpc.bench.cluster import opened
from taskrpc.bench.servers import serving
from taskrpc.core.built_in import WAIT
from tests.bench.at_work import HEADINGS, Phase, at_work
from tests.system.wire import Wire, connection, connections

MOST_TIMES: Final = 2.0
MOST_LATE_MS: Final = 100.0
_PER_BATCH: Final = 1000
_CALLERS: Final = 50
_CREATE: Final = "awf.task/create-and-execute"


def _wait(seconds: float) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"definition": WAIT, "params": {"until": until.isoformat()}}


async def _fill(wire: Wire, waiting: int) -> None:
    """Creates waits of some hours."""
    for begun in range(0, waiting, _PER_BATCH):
        count = min(_PER_BATCH, waiting - begun)
        calls = [{"method": _CREATE, "params": _wait(random.uniform(3600, 36_000))} for _ in range(count)]
        assert all("result" in answer for answer in await wire.batch(*calls))


async def _lateness(wire: Wire, waits: int, chance: random.Random) -> list[float]:
    """How many milliseconds after its time each of some waits has ended, one after the other."""
    late = []
    for _ in range(waits):
        created = await wire.call(_CREATE, **_wait(chance.uniform(0.05, 2.0)))
        ended = await wire.call("awf.task/result", id=created.result["resource"]["id"], timeout=60_000)
        resource = ended.result["resource"]
        assert resource["outcome"] == "succeeded", resource
        ended_at, due_at = (
            datetime.fromisoformat(at) for at in (resource["meta"]["lastUpdated"], resource["executeAt"])
        )
        late.append((ended_at - due_at).total_seconds() * 1000)
    return late


async def _measured(name: str, url: str, options: argparse.Namespace) -> tuple[Phase, list[float]]:
    """The polls of executors, and then, with nothing else going on, how late waits end."""
    polls = await at_work(name, url, options.executors, lambda: asyncio.sleep(options.seconds))
    async with connections(url, _CALLERS) as wires:
        each = options.waits // _CALLERS
        late = await asyncio.gather(*(_lateness(wire, each, random.Random(n)) for n, wire in enumerate(wires)))
    return polls, [ms for some in late for ms in some]


def _line(name: str, late: list[float]) -> str:
    slow = statistics.quantiles(late, n=100)[98]
    return f"{name:<22} {statistics.median(late):8.1f} {slow:8.1f} {min(late):8.1f} {max(late):8.1f} {len(late):8}"


async def _run(options: argparse.Namespace) -> int:
    async with opened(options.database_url) as cluster, cluster.database() as url, serving(url, 1) as servers:
        server = servers.urls[0]
        await at_work("", server, options.executors, lambda: asyncio.sleep(2))
        usual, late_alone = await _measured("alone", server, options)
        async with connection(server) as wire:
            await _fill(wire, options.waiting)
        await cluster.settle()
        crowded, late_crowded = await _measured(f"beside {options.waiting:,}", server, options)
    print("polls", HEADINGS[5:], sep="")
    print(usual.line(), crowded.line(usual), sep="\n")
    print(f"{'waits end, ms late':<22} {'p50':>8} {'p99':>8} {'min':>8} {'max':>8} {'waits':>8}")
    print(_line(usual.name, late_alone), _line(crowded.name, late_crowded), sep="\n")
    late = [*late_alone, *late_crowded]
    good = min(late) >= 0 and max(late) <= MOST_LATE_MS and crowded.median <= MOST_TIMES * usual.median
    return 0 if good else 1


def main() -> int:
    """Measures and prints two tables; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.waits", description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000, help="tasks that wait meanwhile; default 100000")
    parser.add_argument("--waits", type=int, default=500, help="waits whose ends are measured; default 500")
    parser.add_argument("--executors", type=int, default=8, help="how many poll; default 8")
    parser.add_argument("--seconds", type=float, default=10, help="how long polls are measured; default 10")
    parser.add_argument("--database-url", help="PostgreSQL to use; without, an embedded one")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
