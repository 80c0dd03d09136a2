"""`python -m tests.faults.simulation`: many short runs of the pure parts in virtual time, each decided by its seed.

`tasks` are the life cycle and decisions, `flows` the executions of flows. A seed that violates a rule is told with the
command that runs it again. Exit status 1: there was one.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track

from tests.faults.checker.check import check
from tests.faults.simulation.flows.verdict import Verdict
from tests.faults.simulation.world import Simulation
from tests.faults.summary import summary


def replay_command(kind: str, seed: int) -> str:
    """What runs one seed again."""
    return f"python -m tests.faults.simulation --{kind} --seed {seed}"


def _of_tasks(seed: int) -> list[str]:
    return [str(violation) for violation in check(Simulation(seed).history())]


def _of_flows(seed: int) -> list[str]:
    return Verdict(seed).violations


_KINDS: Final[Mapping[str, Callable[[int], list[str]]]] = {"tasks": _of_tasks, "flows": _of_flows}


def violations_of(kind: str, seed: int) -> list[str]:
    """What the run of a seed violates, or how it broke."""
    try:
        return _KINDS[kind](seed)
    except Exception:
        return [traceback.format_exc()]


def _simulated(kind: str, seeds: range) -> Iterator[tuple[int, list[str]]]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from zip(seeds, pool.map(partial(violations_of, kind), seeds, chunksize=20), strict=True)


def _simulate(kind: str, seeds: range, console: Console) -> int:
    """How many of the seeds violate a rule."""
    bad, began = 0, time.monotonic()
    for seed, violations in track(_simulated(kind, seeds), f"simulating {kind}", total=len(seeds), console=console):
        if violations:
            bad += 1
            console.print(f"{replay_command(kind, seed)}\n  {violations[0]}", markup=False, soft_wrap=True)
    console.print(f"{kind}: {len(seeds)} seeds in {time.monotonic() - began:.0f} s, {bad} of them violate a rule")
    return bad


def _replay_tasks(seed: int, file: Path | None, console: Console) -> bool:
    simulation = Simulation(seed)
    history = simulation.history()
    if file is not None:
        file.write_text("".join(json.dumps(record) + "\n" for record in simulation.everything()))
    violations = check(history)
    console.print(summary(history, violations), markup=False, soft_wrap=True)
    return not violations


def _replay_flows(seed: int, file: Path | None, console: Console) -> bool:
    verdict = Verdict(seed)
    if file is not None:
        file.write_text("".join(f"{line}\n" for line in verdict.told()))
    console.print("\n".join(verdict.summary()), markup=False, soft_wrap=True)
    return not verdict.violations


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many of each kind; default 500")
    parser.add_argument("--first", type=int, default=0, help="the first one; default 0")
    parser.add_argument("--seed", type=int, help="only this one, and show what happened")
    parser.add_argument("--history", type=Path, metavar="FILE", help="with --seed and a kind: write the history there")
    for kind in _KINDS:
        parser.add_argument(f"--{kind}", action="append_const", dest="kinds", const=kind, help=f"only {kind}")
    return parser.parse_args()


def main() -> int:
    given, console = _arguments(), Console(highlight=False)
    kinds: Sequence[str] = given.kinds or list(_KINDS)
    if given.seed is not None:
        replays = {"tasks": _replay_tasks, "flows": _replay_flows}
        held = [replays[kind](given.seed, given.history, console) for kind in kinds]
        return 0 if all(held) else 1
    seeds = range(given.first, given.first + given.seeds)
    return 1 if sum(_simulate(kind, seeds, console) for kind in kinds) else 0


if __name__ == "__main__":
    sys.exit(main())
