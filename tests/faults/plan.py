"""What will be done to whom and when: drawn from the seed before the run begins, so that a run can be repeated."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

_FIRST_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Lane:
    """Faults that come one after the other, `every` so many seconds (from, to), in shuffled rounds."""

    every: tuple[float, float]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when, in seconds from the begin; which of the parties, as a number; for how long."""

    at: float
    name: str
    party: int
    seconds: float


# Lanes run beside each other, so faults of different lanes overlap. Kills have lanes of their own: their number counts.
LANES: Final[Mapping[str, Lane]] = {
    "servers": Lane((4.5, 7.0), ("kill-server",)),
    "processes": Lane((6.0, 12.0), ("freeze-server", "kill-executors", "freeze-executors", "restart-server")),
    "versions": Lane((5.0, 9.0), ("other-version",)),
    "postgres": Lane((9.0, 13.0), ("kill-postgres",)),
    "database": Lane(
        (8.0, 16.0),
        ("stop-postgres", "freeze-postgres", "cut-connections", "cut-listeners", "hold-locks", "fill-disk"),
    ),
    "network": Lane(
        (3.0, 7.0), ("delay", "cut", "reset", "trickle", "deaf", "drop-commits", "drop-commits", "drop-answers")
    ),
}


def names_of(lanes: Mapping[str, Lane]) -> tuple[str, ...]:
    """The faults of some lanes, each once."""
    return tuple(dict.fromkeys(name for lane in lanes.values() for name in lane.names))


def planned(
    seed: str, seconds: float, wanted: Collection[str], lanes: Mapping[str, Lane] = LANES
) -> dict[str, list[Strike]]:
    """The strikes of each lane, in order; only those of `wanted` names."""
    return {name: _strikes(random.Random(f"{seed}/{name}"), lane, seconds, wanted) for name, lane in lanes.items()}


def _strikes(chance: random.Random, lane: Lane, seconds: float, wanted: Collection[str]) -> list[Strike]:
    names = [name for name in lane.names if name in wanted]
    strikes: list[Strike] = []
    deck: list[str] = []
    at = _FIRST_SECONDS + chance.uniform(0, lane.every[0])
    while names and at < seconds:
        deck = deck or chance.sample(names, len(names))
        strikes.append(Strike(round(at, 3), deck.pop(), chance.randrange(1000), round(chance.uniform(0.5, 6.0), 3)))
        at += chance.uniform(*lane.every)
    return strikes
