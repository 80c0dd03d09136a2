"""`taskrpc flow`: check flows, run them, draw them."""

from pathlib import Path
from typing import Annotated

import typer

from taskrpc.cli import flow_run
from taskrpc.cli.flow_files import WrongFlowError, read_flow
from taskrpc.core.flow.graph import mermaid

_flows = typer.Typer(name="flow", help="Check flows, run them, draw them.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Files with a flow each, in YAML or JSON.", dir_okay=False)]
File = Annotated[Path, typer.Argument(help="A file with a flow, in YAML or JSON.", dir_okay=False)]


def command(app: typer.Typer) -> None:
    """Enters the commands."""
    flow_run.command(_flows)
    app.add_typer(_flows)


@_flows.command()
def check(files: Files) -> None:
    """Tell every mistake in flows, with its path and line; exit with 1 if there is one."""
    wrong = 0
    for file in files:
        try:
            flow, _ = read_flow(file)
        except WrongFlowError as error:
            wrong += 1
            for line in error.lines:
                typer.echo(line, err=True)
        else:
            count = "1 task" if len(flow.tasks) == 1 else f"{len(flow.tasks)} tasks"
            typer.echo(f"{file}: {flow.namespace}.{flow.id} is right: {count}")
    if wrong:
        raise typer.Exit(1)


@_flows.command()
def graph(file: File) -> None:
    """Draw a flow as a Mermaid flowchart, which GitHub, many editors and mermaid.live show as a picture."""
    try:
        typer.echo(mermaid(read_flow(file)[0]), nl=False)
    except WrongFlowError as error:
        for line in error.lines:
            typer.echo(line, err=True)
        raise typer.Exit(1) from None
