"""What the service has to reach beside the others: ratios within a round, and their medians over the rounds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from taskrpc.bench.measurement import Figures
from taskrpc.bench.report import table

Round = Mapping[str, Figures]  # the figures of one round by the names of the contestants
Value = Callable[[Round], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """One line: what is wanted at least, what is aimed at, and how it comes of a round's figures."""

    title: str
    at_least: float
    aim: float
    value: Value
    unit: str = ""
    less_is_better: bool = False

    def verdict(self, value: float) -> str:
        """How a value stands to what is wanted."""
        for wanted, verdict in ((self.aim, "aim reached"), (self.at_least, "reached")):
            if value <= wanted if self.less_is_better else value >= wanted:
                return verdict
        return "**not reached**"


def _rate(name: str, against: str) -> Value:
    return lambda figures: figures[name].rate / figures[against].rate


def _p50(name: str, against: str) -> Value:
    return lambda figures: figures[name].p50 / figures[against].p50


def _cpu_per_call(figures: Round) -> float | None:
    cpu = figures["single-64"].server_cpu
    return None if cpu is None else cpu / 4


def _poll_kilobytes(figures: Round) -> float | None:
    memory = figures["wake-up-10000-of-1"].poll_memory
    return None if memory is None else memory / 1000


TARGETS: Final = (
    Target("64 executors, single calls, against a plain server", 3, 6, _rate("single-64", "plain-64")),
    Target("256 executors, single calls, against a plain server", 4.5, 8, _rate("single-256", "plain-256")),
    Target(
        "64 executors, single calls over HTTP, against Procrastinate in process",
        10, 25, _rate("single-64", "procrastinate-single-1"),
    ),
    Target(
        "one by one, enqueue and process, against PgQueuer in process",
        1.5, 4, _rate("single-64", "pgqueuer-single-1"),
    ),
    Target(
        "draining in arrays of 100, against PgQueuer draining in hundreds", 1, 2, _rate("drain-100", "pgqueuer-drain")
    ),
    Target(
        "arrays of 100, creating included, against PgQueuer draining in hundreds",
        1, 2, _rate("arrays-100", "pgqueuer-drain"),
    ),
    Target("arrays of 100, share of the limit", 0.5, 0.8, _rate("arrays-100", "limit")),
    Target("server CPU per single call, 64 executors", 45, 20, _cpu_per_call, " µs", True),
    Target("wake-up with 10,000 waiting, p50", 4, 1.5, lambda f: f["wake-up-10000-of-1"].p50, " ms", True),
    Target("wake-up with 10,000 waiting, p99", 10, 4, lambda f: f["wake-up-10000-of-1"].p99, " ms", True),
    Target("memory per waiting poll", 12, 4, _poll_kilobytes, " kB", True),
    Target(
        "claim at 10 M done + 1 M ready, against empty",
        1.5, 1.1, _p50("claims-10m-done-1m-ready", "claims-empty"), "", True,
    ),
    Target(
        "claim under an old snapshot after 100,000 tasks, against empty",
        3, 1.2, _p50("claims-old-snapshot", "claims-empty"), "", True,
    ),
    Target("YAML single call, against JSON", 0.5, 0.7, _rate("yaml-64", "single-64")),
    Target(
        "one executor, nothing else: a call, against one durable one-row update",
        3, 2, _p50("single-1", "one-row"), "", True,
    ),
)  # fmt: skip


def measured(target: Target, rounds: Sequence[Round]) -> float | None:
    """The median of the target's value over the rounds that have what it needs."""
    values = []
    for figures in rounds:
        try:
            values.append(target.value(figures))
        except KeyError:
            continue
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def target_table(rounds: Sequence[Round]) -> str:
    """All targets with what was measured, in Markdown."""
    return table(
        ("", "wanted", "aim", "measured", ""), (_cells(target, measured(target, rounds)) for target in TARGETS)
    )


def _cells(target: Target, value: float | None) -> list[str]:
    wanted = f"{'at most ' if target.less_is_better else ''}{target.at_least:g}{target.unit}"
    aim = f"{target.aim:g}{target.unit}"
    if value is None:
        return [target.title, wanted, aim, "–", "not measured"]
    return [target.title, wanted, aim, f"{value:.2f}{target.unit}", target.verdict(value)]
