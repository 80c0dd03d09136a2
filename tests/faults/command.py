"""The command of a scenario: runs it, checks the history, prints what there is to say. Exit status 1: a rule is
violated."""

import argparse
import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.faults.checker.check import check
from tests.faults.history import read_history
from tests.faults.run import Scenario, run
from tests.faults.summary import summary

_KEPT: Final = Path(".faults")


def _arguments(scenario: Scenario, prog: str, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long there are faults; default 2")
    parser.add_argument("--seed", help="what decides about everything that is drawn; default: a new one")
    parser.add_argument(
        "--nemesis",
        action="append",
        metavar="FAULT",
        choices=(*scenario.names, "none"),
        help="only this; may be repeated",
    )
    parser.add_argument(
        "--history", type=Path, metavar="DIRECTORY", help=f"where to keep the history; default {_KEPT}/…"
    )
    parser.add_argument(
        "--former",
        type=Path,
        metavar="CHECKOUT",
        help="a checkout of a former version: servers begin as that one, `other-version` restarts them to this one "
        "and back",
    )
    parser.add_argument("--check", type=Path, metavar="HISTORY", help="check a history that was kept, and do no more")
    parser.add_argument("--list", action="store_true", help="tell the names of all faults")
    given = parser.parse_args()
    if given.former is not None:
        if "other-version" not in scenario.names:
            parser.error("--former: nothing restarts servers to another version here")
        if not (given.former / "taskrpc" / "__init__.py").is_file():
            parser.error(f"--former: {given.former} is no checkout: it has no taskrpc/__init__.py")
    return given


def command(scenario: Scenario, prog: str, description: str | None) -> int:
    """What `python -m …` does with a scenario; answers the exit status."""
    given, console = _arguments(scenario, prog, description), Console(highlight=False)
    if given.list:
        console.print("\n".join(scenario.names))
        return 0
    if given.check:
        return _told(given.check, console)[1]
    seed: str = given.seed or secrets.token_hex(4)
    directory: Path = given.history or _KEPT / f"{time.strftime('%Y%m%d-%H%M%S')}-{seed}"
    directory.mkdir(parents=True)
    wanted: Sequence[str] = [name for name in given.nemesis or scenario.names if name != "none"]
    console.print(f"seed {seed}, history in {directory}")
    with console.status("") as status:
        began = time.monotonic()

        def say(phase: str) -> None:
            status.update(f"{time.monotonic() - began:.0f} s of about {given.minutes * 60 + 30:.0f}: {phase}")

        scenario = replace(scenario, former=given.former and given.former.resolve())
        asyncio.run(run(scenario, directory.resolve(), given.minutes, seed, wanted, say))
    text, exit_status = _told(directory, console)
    (directory / "summary.md").write_text(text + "\n")
    return exit_status


def _told(place: Path, console: Console) -> tuple[str, int]:
    """Prints what a history that was kept has to say; answers that and the exit status, and changes nothing."""
    with console.status("checking"):
        history = read_history(place)
        violations = check(history)
        text = summary(history, violations)
    console.print(text, markup=False, soft_wrap=True)
    return text, 1 if violations else 0
