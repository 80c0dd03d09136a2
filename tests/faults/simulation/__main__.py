"""`python -m tests.faults.simulation`: many short runs of the pure parts in virtual time, each decided by its seed.

A seed that violates a rule is told with the command that runs it again. Exit status 1: there was one.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.faults.checker.check import check
from tests.faults.simulation.world import Simulation
from tests.faults.summary import summary


def replay_command(seed: int) -> str:
    """What runs one seed again."""
    return f"python -m tests.faults.simulation --seed {seed}"


def violations_of(seed: int) -> list[str]:
    """What the run of a seed violates, or how it broke."""
    try:
        return [str(violation) for violation in check(Simulation(seed).history())]
    except Exception:
        return [traceback.format_exc()]


def _simulated(seeds: range) -> Iterator[tuple[int, list[str]]]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from zip(seeds, pool.map(violations_of, seeds, chunksize=20), strict=True)


def _replay(seed: int, file: Path | None, console: Console) -> int:
    simulation = Simulation(seed)
    history = simulation.history()
    if file is not None:
        file.write_text("".join(json.dumps(record) + "\n" for record in simulation.everything()))
    violations = check(history)
    console.print(summary(history, violations), markup=False, soft_wrap=True)
    return 1 if violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many; default 500")
    parser.add_argument("--first", type=int, default=0, help="the first one; default 0")
    parser.add_argument("--seed", type=int, help="only this one, and show what happened")
    parser.add_argument("--history", type=Path, metavar="FILE", help="with --seed: write the history there")
    given, console = parser.parse_args(), Console(highlight=False)
    if given.seed is not None:
        return _replay(given.seed, given.history, console)
    seeds, bad, began = range(given.first, given.first + given.seeds), 0, time.monotonic()
    for seed, violations in track(_simulated(seeds), "simulating", total=len(seeds), console=console):
        if violations:
            bad += 1
            console.print(f"{replay_command(seed)}\n  {violations[0]}", markup=False, soft_wrap=True)
    console.print(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s, {bad} of them violate a rule")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
