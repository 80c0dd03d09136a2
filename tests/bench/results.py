"""All that was measured, and the tables that show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from taskrpc.bench.measurement import Figures, median
from taskrpc.bench.report import HEADER, LEGEND, row, table
from tests.bench.contestants import Contestant
from tests.bench.targets import Round, target_table

# What of the service stands in the table of all contestants.
_SHOWN: Final = ("single-64", "single-256", "success-and-poll-64", "arrays-100", "drain-100")
_BASE: Final = "single-64"
_NEAREST_TO_PICK_UP: Final = "wake-up-1-of-1"


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of each contestant, a list by round; what they were measured on, and how long each run was."""

    figures: Mapping[Contestant, Sequence[Figures]]
    facts: Mapping[str, str]
    seconds: float

    def rounds(self) -> list[Round]:
        """The figures by round, and in it by the names of the contestants."""
        number = min((len(runs) for runs in self.figures.values()), default=0)
        return [{one.name: runs[n] for one, runs in self.figures.items()} for n in range(number)]

    def medians(self) -> dict[str, Figures]:
        """The medians by the names of the contestants."""
        return {one.name: median(runs) for one, runs in self.figures.items()}


def markdown(results: Results, pictures: Mapping[str, str]) -> str:
    """Everything as Markdown; `pictures` are paths by what they show."""
    parts = [_facts(results), "### Against the targets", target_table(results.rounds())]
    parts += [f"![{title}]({path})" for title, path in pictures.items()]
    parts += _section("Throughput beside each other", _throughput(results))
    parts += _section("From enqueue to the executor, one task in an idle system", _pick_up(results))
    parts += _section("The service in all scenarios", _scenarios(results, "service"))
    parts += _section("The plain server and the limit", _scenarios(results, "plain server", "limit", "update"))
    return "\n\n".join([*parts, LEGEND])


def _scenarios(results: Results, *groups: str) -> str:
    chosen = [one for one in results.figures if one.group in groups]
    rows = [row(one.title, one.latency_of, median(results.figures[one])) for one in chosen]
    return table(HEADER, rows) if rows else ""


def _section(title: str, content: str) -> list[str]:
    return [f"### {title}", content] if content else []


def _facts(results: Results) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in results.facts.items())
    runs = f"{len(results.rounds())} interleaved rounds of {results.seconds:g} s each"
    return f"Medians of {runs}, {datetime.now(UTC):%Y-%m-%d}. {facts}."


def _throughput(results: Results) -> str:
    """Everybody's tasks per second; the ratio is the median of those within a round, as of the targets."""
    chosen = [one for one in results.figures if one.name in _SHOWN or one.group in ("plain server", "limit", "peers")]
    rates = {one: median(results.figures[one]).rate for one in chosen}
    rows = [
        [_with_us(one), f"{rates[one]:,.0f}", _ratio(results, one.name), one.durability]
        for one in sorted(chosen, key=lambda one: -rates[one])
    ]
    header = ("", "tasks per second", "of our single calls, 64 executors", "what is kept")
    return table(header, rows) if rows else ""


def _with_us(contestant: Contestant) -> str:
    return f"**taskrpc**, {contestant.title}" if contestant.group == "service" else contestant.title


def _ratio(results: Results, name: str) -> str:
    ratios = [figures[name].rate / figures[_BASE].rate for figures in results.rounds() if _BASE in figures]
    return f"{_middle(ratios):.2f}" if ratios else "–"


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _pick_up(results: Results) -> str:
    chosen = [one for one in results.figures if one.group == "pick-up" or one.name == _NEAREST_TO_PICK_UP]
    medians = {one: median(results.figures[one]) for one in chosen}
    rows = [
        [_with_us(one), f"{medians[one].p50:.2f}", f"{medians[one].p99:.2f}"]
        for one in sorted(chosen, key=lambda one: medians[one].p50)
    ]
    return table(("", "p50 ms", "p99 ms"), rows) if rows else ""
