"""From samples and rounds to figures, targets and tables."""

import asyncio
import math
import time
from dataclasses import replace

import asyncpg
import pytest

from taskrpc.bench.measurement import Figures, median, percentile
from taskrpc.bench.meter import Meter, postmaster
from taskrpc.bench.report import table
from taskrpc.bench.rounds import Run, interleaved
from taskrpc.bench.scenarios import QUICK_SCALE, SCENARIOS, scaled
from tests.bench.targets import TARGETS, Target, measured, target_table

FIGURES = Figures(1000, 1, 2, 100, 50, 10, 0.1, 4000)


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(100, 0, -1))
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (51, 100, 100)
    assert math.isnan(percentile([], 0.5))


def test_medians_are_taken_figure_by_figure_and_pass_over_what_is_unknown() -> None:
    runs = [replace(FIGURES, rate=rate, server_cpu=cpu) for rate, cpu in ((1, None), (5, 30.0), (3, 10.0))]
    assert (median(runs).rate, median(runs).server_cpu, median(runs).poll_memory) == (3, 20, None)


async def test_rounds_are_interleaved() -> None:
    order: list[tuple[int, str]] = []

    async def run(_: str) -> Figures:
        return FIGURES

    def ran(run: Run[str]) -> None:
        order.append((run.round, run.contestant))

    figures = await interleaved(["a", "b"], 2, run, ran)
    assert order == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert [len(runs) for runs in figures.values()] == [2, 2]


async def test_the_meter_sees_processor_time_and_wal(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    first = await postmaster(connection)
    assert first is not None
    load = await asyncio.create_subprocess_exec("sh", "-c", "while :; do :; done")
    try:
        meter = Meter(connection, {"database": [first], "load": [load.pid]})
        before = await meter.look()
        await connection.execute("create table noise as select n from generate_series(1, 20000) n")
        deadline = time.monotonic() + 10
        while (after := await meter.look()).cpu["load"] - before.cpu["load"] < 0.05:
            assert time.monotonic() < deadline
    finally:
        load.kill()
        await load.wait()
        await connection.close()
    assert after.wal > before.wal
    assert after.cpu["database"] >= before.cpu["database"] > 0
    assert after.memory == 0  # there is no server


def test_a_target_is_the_median_of_the_ratios_within_rounds() -> None:
    target = Target("", 3, 6, lambda figures: figures["a"].rate / figures["b"].rate)
    rounds = [{"a": replace(FIGURES, rate=rate), "b": FIGURES} for rate in (9000, 1000, 4000)]
    assert measured(target, rounds) == 4
    assert measured(target, [{"a": FIGURES}]) is None


@pytest.mark.parametrize(
    ("less", "value", "verdict"),
    [
        (False, 7, "aim reached"),
        (False, 4, "reached"),
        (False, 1, "**not reached**"),
        (True, 1, "aim reached"),
        (True, 7, "**not reached**"),
    ],
)
def test_a_verdict_knows_which_way_is_better(less: bool, value: float, verdict: str) -> None:
    wanted = (5, 2) if less else (3, 6)
    assert Target("", *wanted, lambda _: None, less_is_better=less).verdict(value) == verdict


def test_every_target_is_computed_from_contestants_that_exist() -> None:
    from tests.bench.contestants import contestants
    from tests.bench.peers.installation import Installation

    names = {one.name for one in contestants(Installation(), Installation(), quick=False)}
    everybody = {name: replace(FIGURES, poll_memory=5000) for name in names}
    assert all(measured(target, [everybody]) is not None for target in TARGETS)
    assert "not measured" in target_table([])


def test_a_table_in_markdown_stands_in_columns() -> None:
    assert table(("name", "n"), [["a", "1"], ["long name", "1,000"]]) == (
        "| name      |     n |\n| --------- | ----: |\n| a         |     1 |\n| long name | 1,000 |"
    )


def test_only_scenarios_with_large_numbers_become_smaller() -> None:
    assert scaled(SCENARIOS["single-64"], QUICK_SCALE) is SCENARIOS["single-64"]
    small = scaled(SCENARIOS["wake-up-10000-of-1"], QUICK_SCALE)
    assert (small.load.waiting, small.load.burst) == (50, 1)
    assert f"divided by {QUICK_SCALE}" in small.title
