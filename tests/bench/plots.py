"""The figures as pictures, PNG and SVG: made with matplotlib, which the extra `bench` brings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")  # no window: files only

from matplotlib import pyplot

from taskrpc.bench.measurement import Figures
from taskrpc.bench.scenarios import EXECUTORS

Medians = Mapping[str, Figures]  # by the names of the contestants

_OURS: Final = "#1f6feb"
_THEIRS: Final = "#8b949e"
_LIMIT: Final = "#d29922"
_BARS: Final = (
    ("limit", "limit: statements in hundreds", _LIMIT),
    ("arrays-100", "taskrpc, arrays of 100, HTTP", _OURS),
    ("drain-100", "taskrpc, drained in arrays of 100, HTTP (created before)", _OURS),
    ("success-and-poll-64", "taskrpc, success with poll, 64 executors, HTTP", _OURS),
    ("single-256", "taskrpc, single calls, 256 executors, HTTP", _OURS),
    ("single-64", "taskrpc, single calls, 64 executors, HTTP", _OURS),
    ("plain-64", "plain server, single calls, 64 executors, HTTP", _THEIRS),
    ("pgqueuer-single-100", "PgQueuer, enqueued one by one, processed in hundreds", _THEIRS),
    ("pgqueuer-single-1", "PgQueuer, one by one", _THEIRS),
    ("pgqueuer-drain", "PgQueuer, drained in hundreds (enqueued before)", _THEIRS),
    ("procrastinate-single-1", "Procrastinate, one by one", _THEIRS),
    ("procrastinate-drain", "Procrastinate, drained (enqueued before)", _THEIRS),
    ("pg-boss-single-100", "pg-boss, enqueued one by one, polled in hundreds", _THEIRS),
    ("pg-boss-drain", "pg-boss, drained in hundreds (enqueued before)", _THEIRS),
    ("graphile-single-1", "Graphile Worker, one by one", _THEIRS),
    ("graphile-drain", "Graphile Worker, drained, in batches (enqueued before)", _THEIRS),
)
_STATES: Final = (
    ("claims-empty", "nothing else"),
    ("claims-1m-done", "1 M done"),
    ("claims-10m-done", "10 M done"),
    ("claims-10m-done-1m-ready", "10 M done,\n1 M ready"),
    ("claims-old-snapshot", "old snapshot,\n100,000 churned"),
)


def draw(medians: Medians, folder: Path) -> dict[str, Path]:
    """Draws every picture that there are figures for; answers the SVG files by what they show."""
    drawn = {}
    for name, picture in (("executors", _executors), ("peers", _peers), ("wake-up", _wake_up), ("claims", _claims)):
        figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
        axes.spines[["top", "right"]].set_visible(False)
        if picture(axes, medians):
            figure.savefig(folder / f"{name}.png", dpi=120)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            drawn[axes.get_title()] = folder / f"{name}.svg"
        pyplot.close(figure)
    return drawn


def _line(axes: Any, medians: Medians, names: Sequence[tuple[float, str]], value: str, **style: Any) -> bool:
    points = [(x, getattr(medians[name], value)) for x, name in names if name in medians]
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", **style)
    return bool(points)


def _executors(axes: Any, medians: Medians) -> bool:
    lines = (
        ("success-and-poll-{}", "taskrpc, success with poll", _OURS, "--"),
        ("single-{}", "taskrpc, single calls", _OURS, "-"),
        ("plain-{}", "plain server, single calls", _THEIRS, "-"),
    )
    drawn = [
        _line(
            axes, medians, [(n, form.format(n)) for n in EXECUTORS], "rate", label=label, color=color, linestyle=style
        )
        for form, label, color, style in lines
    ]
    axes.set_xscale("log", base=2)
    axes.set_xticks(EXECUTORS, map(str, EXECUTORS))
    axes.set_ylim(bottom=0)
    axes.set(xlabel="executors", ylabel="tasks per second", title="Whole life cycles over HTTP, durable")
    if any(drawn):
        axes.legend()
    return any(drawn)


def _peers(axes: Any, medians: Medians) -> bool:
    bars = [(label, medians[name].rate, color) for name, label, color in reversed(_BARS) if name in medians]
    if bars:
        labels, rates, colors = zip(*bars, strict=True)
        axes.bar_label(axes.barh(labels, rates, color=colors), fmt="{:,.0f}", padding=3, fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
        axes.margins(x=0.12)
    axes.set(xlabel="tasks per second", title="Beside each other, on the same PostgreSQL")
    return bool(bars)


def _wake_up(axes: Any, medians: Medians) -> bool:
    drawn = []
    for servers, where, style in ((1, "same server", "-"), (2, "created on another server", "--")):
        names = [(polls, f"wake-up-{polls}-of-{servers}") for polls in (1, 1_000, 10_000)]
        for value, color in (("p50", _OURS), ("p99", _LIMIT)):
            drawn.append(_line(axes, medians, names, value, label=f"{value}, {where}", color=color, linestyle=style))
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set(xlabel="waiting polls", ylabel="ms", title="From sending a task to its arrival at an executor that waits")
    if any(drawn):
        axes.legend()
    return any(drawn)


def _claims(axes: Any, medians: Medians) -> bool:
    bars = [(label, medians[name].p50, medians[name].p99) for name, label in _STATES if name in medians]
    if bars:
        labels, p50, p99 = zip(*bars, strict=True)
        places = range(len(labels))
        axes.bar([place - 0.2 for place in places], p50, 0.4, color=_OURS, label="p50")
        axes.bar([place + 0.2 for place in places], p99, 0.4, color=_LIMIT, label="p99")
        axes.set_xticks(places, labels, fontsize=8)
        axes.legend()
    axes.set(ylabel="ms", title="A poll over HTTP, by what else is in the queue")
    return bool(bars)
