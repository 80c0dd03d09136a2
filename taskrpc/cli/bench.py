"""`taskrpc bench`: how fast this service is on this machine."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from taskrpc.bench.cluster import allow_many_connections, opened
from taskrpc.bench.connection import LoadError
from taskrpc.bench.measurement import Figures, median
from taskrpc.bench.report import LEGEND, scenario_table
from taskrpc.bench.rounds import Run, interleaved
from taskrpc.bench.runner import run_scenario
from taskrpc.bench.scenarios import QUICK, QUICK_SCALE, SCENARIOS, Scenario, Timing, scaled
from taskrpc.errors import TaskRpcError

_DEFAULT = ("single-64", "success-and-poll-64", "arrays-100", "wake-up-1000-of-1")


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def bench(
        scenario: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="What to measure; may be given several times.")
        ] = None,
        all_: Annotated[bool, typer.Option("--all", help="Measure all scenarios; that takes minutes.")] = False,
        list_: Annotated[bool, typer.Option("--list", help="Tell which scenarios there are.")] = False,
        rounds: Annotated[int, typer.Option(min=1, help="How often; the medians are told.")] = 1,
        seconds: Annotated[float, typer.Option(min=0.1, help="How long each run is measured.")] = 5.0,
        quick: Annotated[bool, typer.Option(help="Try it out: runs too short and small to mean anything.")] = False,
        database_url: Annotated[
            str | None, typer.Option(help="Make the databases of the runs there; without, an embedded PostgreSQL.")
        ] = None,
    ) -> None:
        """Measure the service on this machine, on databases and servers of its own that are gone afterwards.

        A durable PostgreSQL, the server and the load share the machine, so close everything else.
        """
        if list_:
            for one in SCENARIOS.values():
                typer.echo(f"{one.name:<26} {one.title}")
            return
        timing = QUICK if quick else Timing(seconds=seconds)
        chosen = _chosen(list(SCENARIOS) if all_ else scenario or _DEFAULT)
        if quick:
            chosen = [scaled(one, QUICK_SCALE) for one in chosen]
        try:
            asyncio.run(_measure(chosen, rounds, timing, database_url))
        except (TaskRpcError, LoadError, OSError) as error:
            typer.echo(f"taskrpc: {error}", err=True)
            raise typer.Exit(1) from None


def _chosen(names: Sequence[str]) -> list[Scenario]:
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise typer.BadParameter(f"there is no scenario {unknown[0]}; taskrpc bench --list tells which there are")
    return [SCENARIOS[name] for name in dict.fromkeys(names)]


async def _measure(scenarios: Sequence[Scenario], rounds: int, timing: Timing, database_url: str | None) -> None:
    allow_many_connections()
    console = Console(stderr=True)
    async with opened(database_url) as cluster:
        with console.status("") as status:

            async def run(scenario: Scenario) -> Figures:
                status.update(scenario.title)
                return await run_scenario(scenario, cluster, timing, lambda text: _tell(status, scenario, text))

            def tell(run: Run[Scenario]) -> None:
                console.print(f"round {run.round}: {run.contestant.title}: {run.figures.rate:,.0f} per second")

            figures = await interleaved(scenarios, rounds, run, tell)
    typer.echo(scenario_table({scenario: median(runs) for scenario, runs in figures.items()}))
    typer.echo(f"\n{LEGEND}")


def _tell(status: Status, scenario: Scenario, text: str) -> None:
    status.update(f"{scenario.title}: {text}")
