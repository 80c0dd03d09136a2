"""Figures as a table in Markdown, which is as well readable in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from taskrpc.bench.measurement import Figures
from taskrpc.bench.scenarios import Scenario

HEADER: Final = (
    "scenario", "per second", "latency of", "p50 ms", "p99 ms", "server µs", "database µs", "load µs (share of a core)",
    "WAL bytes", "bytes per poll",
)  # fmt: skip
LEGEND: Final = (
    "Microseconds of CPU and bytes of WAL are per task (or heartbeat). The latency of a delivery is the time from "
    "sending a task to its arrival at an executor that waited."
)


def row(title: str, latency_of: str, figures: Figures) -> list[str]:
    """The cells of one line."""
    return [
        title,
        f"{figures.rate:,.0f}",
        latency_of,
        f"{figures.p50:.2f}",
        f"{figures.p99:.2f}",
        _whole(figures.server_cpu),
        _whole(figures.database_cpu),
        f"{figures.load_cpu:,.0f} ({figures.load_share:.0%})",
        f"{figures.wal:,.0f}",
        _whole(figures.poll_memory),
    ]


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown whose columns stand below each other: the first to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    cells = [
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))] for line in lines
    ]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:]))


def scenario_table(figures: Mapping[Scenario, Figures]) -> str:
    """All that was measured of the service."""
    return table(HEADER, (row(scenario.title, scenario.latency_of, one) for scenario, one in figures.items()))
