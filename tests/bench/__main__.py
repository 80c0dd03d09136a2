"""`python -m tests.bench`: the service, its limit, a plain server and its peers, measured beside each other.

Needs the extra `bench`. Without arguments it takes some half an hour, wants the machine for itself, and prints the
tables; with `--document docs/performance.md` it writes them and the pictures there. A quick try: `--quick`.
"""

import argparse
import asyncio
import importlib.metadata
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from taskrpc.bench.cluster import Cluster, allow_many_connections, opened
from taskrpc.bench.connection import LoadError
from taskrpc.bench.measurement import Figures
from taskrpc.bench.rounds import Run, interleaved
from taskrpc.bench.scenarios import QUICK, Timing
from taskrpc.errors import TaskRpcError
from tests.bench import document, machine
from tests.bench.contestants import Contestant, contestants
from tests.bench.peers import installation
from tests.bench.peers.installation import Installation
from tests.bench.results import Results, markdown

_BUSY: Final = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody is measured; default 5")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run is measured; default 5")
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this; may be given several times")
    parser.add_argument("--quick", action="store_true", help="short runs with small numbers, which mean nothing")
    parser.add_argument("--list", action="store_true", help="tell the names of all contestants")
    parser.add_argument("--without-peers", action="store_true", help="install and measure no other products")
    parser.add_argument("--database-url", help="PostgreSQL to use, on this machine; without, an embedded one")
    parser.add_argument("--document", type=Path, metavar="PAGE", help="write the figures into this page")
    return parser.parse_args()


def _installed(directory: Path, wanted: bool, console: Console) -> tuple[Installation, Installation]:
    if not wanted:
        left_out = Installation(reason="left out")
        return left_out, left_out
    with console.status("installing the peers"):
        return installation.install_python(directory), installation.install_node(directory)


def _chosen(all_: Sequence[Contestant], names: Sequence[str] | None, console: Console) -> list[Contestant]:
    known = {one.name for one in all_}
    if unknown := [name for name in names or () if name not in known]:
        raise LoadError(f"there is nothing named {unknown[0]}; --list tells the names")
    wanted = [one for one in all_ if not names or one.name in names]
    for one in wanted:
        if one.skipped is not None:
            console.print(f"not measured: {one.title}: {one.skipped}", markup=False)
    return [one for one in wanted if one.skipped is None]


async def _measure(
    chosen: Sequence[Contestant], arguments: argparse.Namespace, timing: Timing, console: Console
) -> Results:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    async with opened(arguments.database_url) as cluster:
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task("", total=arguments.rounds * len(chosen))

            async def run(contestant: Contestant) -> Figures:
                progress.update(bar, description=contestant.title)
                return await contestant.run(cluster, timing, lambda text: progress.update(bar, description=text))

            def ran(run: Run[Contestant]) -> None:
                progress.advance(bar)
                line = (
                    f"{run.round}  {run.contestant.name:<28} {run.figures.rate:>10,.0f}/s  p50 {run.figures.p50:.2f} ms"
                )
                console.print(line, markup=False, highlight=False)

            figures = await interleaved(chosen, arguments.rounds, run, ran)
        return Results(figures, await _facts(cluster, chosen), timing.seconds)


async def _facts(cluster: Cluster, chosen: Sequence[Contestant]) -> dict[str, str]:
    settings = ", ".join(f"{name} {value}" for name, value in (await cluster.settings()).items())
    return {
        **machine.describe(),
        "taskrpc": importlib.metadata.version("taskrpc"),
        "PostgreSQL": f"{await cluster.version()} ({settings})",
        **(installation.versions() if any(one.group == "peers" for one in chosen) else {}),
    }


def main() -> int:
    """Carries out the command line; exit status 1 when something could not be measured."""
    arguments, console = _arguments(), Console(stderr=True)
    timing = QUICK if arguments.quick else Timing(seconds=arguments.seconds)
    allow_many_connections()
    with tempfile.TemporaryDirectory(prefix="taskrpc-bench-peers-") as directory:
        wanted = not (arguments.without_peers or arguments.list)
        python, node = _installed(Path(directory), wanted, console)
        all_ = list(contestants(python, node, arguments.quick))
        if arguments.list:
            print("\n".join(f"{one.name:<28} {one.title}" for one in all_))
            return 0
        if (load := machine.busy()) > _BUSY:
            console.print(
                f"the machine is busy (load {load:.1f}): the figures will not be what it can do", style="yellow"
            )
        try:
            chosen = _chosen(all_, arguments.scenario, console)
            results = asyncio.run(_measure(chosen, arguments, timing, console))
        except (LoadError, TaskRpcError, OSError) as error:
            console.print(f"failed: {error}", style="red", markup=False)
            return 1
    print(markdown(results, {}))
    if arguments.document:
        document.write(results, arguments.document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
