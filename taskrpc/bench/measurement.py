"""One run of a load: its process, the looks at what it costs, and the figures that come of both."""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from taskrpc.bench.cluster import Cluster
from taskrpc.bench.connection import LoadError
from taskrpc.bench.meter import Meter, Sample
from taskrpc.bench.servers import stopped

# The latencies of a whole run are one line.
_LONGEST_LINE: Final = 2**27
_PATIENCE_SECONDS: Final = 600.0
# Fewer polls weigh less than a server's memory varies.
_FEWEST_WEIGHED: Final = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run has shown. `rate` is tasks per second; latencies are in ms, CPU in µs per task, the rest in bytes.

    `load_share` is the share of one core that the load itself used: near 1 it is the load that is measured.
    """

    rate: float
    p50: float
    p99: float
    server_cpu: float | None
    database_cpu: float | None
    load_cpu: float
    load_share: float
    wal: float
    poll_memory: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """The figures by name."""
        return asdict(self)


def median(runs: Sequence[Figures]) -> Figures:
    """The medians of several runs, figure by figure."""
    columns = [run.as_dict() for run in runs]
    values = {name: [column[name] for column in columns] for name in columns[0]}
    return Figures(**{name: _median(of_runs) for name, of_runs in values.items()})


def _median(values: Sequence[float | None]) -> Any:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def percentile(values: Sequence[int], share: float) -> float:
    """The value that a share of the values do not exceed (nearest rank); `nan` of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


class _Load:
    """A load's process, and the samples taken when it told of an event."""

    def __init__(self, process: asyncio.subprocess.Process, meter: Meter) -> None:
        self._process = process
        self._meter = meter
        self.samples: dict[str, Sample] = {}

    async def result(self) -> Mapping[str, Any]:
        """Follows the events to the last one. Raises LoadError when the load failed."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = orjson.loads(line)
            if event["event"] == "failed":
                raise LoadError(event["message"])
            if event["event"] == "result":
                return dict(event)
            self.samples[event["event"]] = await self._meter.look()
        raise LoadError(f"the load ended without a result, with status {await self._process.wait()}")


async def measure(
    command: Sequence[str], order: bytes, cluster: Cluster, server_pids: Sequence[int] = (), waiting: int = 0
) -> Figures:
    """Runs a load's program, which `taskrpc.bench.window` describes. Raises LoadError, also when it does not end."""
    await cluster.settle()
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(order + b"\n")
        database = [cluster.first_process] if cluster.first_process is not None else []
        meter = Meter(cluster.connection, {"server": server_pids, "database": database, "load": [process.pid]})
        load = _Load(process, meter)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            result = await load.result()
            process.stdin.close()
            await process.wait()
    except TimeoutError:
        raise LoadError(f"the load did not end within {_PATIENCE_SECONDS:.0f} s") from None
    finally:
        await stopped(process)
    return _figures(result, load.samples, waiting)


def _figures(result: Mapping[str, Any], samples: Mapping[str, Sample], waiting: int) -> Figures:
    begin, end = samples["begin"], samples["end"]
    tasks, latencies = result["tasks"], result["latencies"]
    if not tasks:
        raise LoadError("no task went the whole way while it was measured")

    def cpu(group: str) -> float | None:
        return (end.cpu[group] - begin.cpu[group]) / tasks * 1e6 if group in begin.cpu and group in end.cpu else None

    load_cpu = cpu("load") or 0.0
    idle = samples.get("idle")
    return Figures(
        rate=tasks / result["seconds"],
        p50=percentile(latencies, 0.5) / 1000,
        p99=percentile(latencies, 0.99) / 1000,
        server_cpu=cpu("server"),
        database_cpu=cpu("database"),
        load_cpu=load_cpu,
        load_share=load_cpu * tasks / 1e6 / (end.at - begin.at),
        wal=(end.wal - begin.wal) / tasks,
        poll_memory=(begin.memory - idle.memory) / waiting if idle is not None and waiting >= _FEWEST_WEIGHED else None,
    )
