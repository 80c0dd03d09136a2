"""`taskrpc flow`: check flows, draw them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from taskrpc.core.flow.graph import mermaid
from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.errors import TaskRpcError
from taskrpc.wire.yaml_places import line_of
from taskrpc.wire.yaml_reader import decode

_flows = typer.Typer(name="flow", help="Check flows, draw them.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Files with a flow each, in YAML or JSON.", dir_okay=False)]
File = Annotated[Path, typer.Argument(help="A file with a flow, in YAML or JSON.", dir_okay=False)]


def command(app: typer.Typer) -> None:
    """Enters the commands."""
    app.add_typer(_flows)


class _WrongFlowError(Exception):
    """A flow with mistakes; `lines` tell them as FILE:LINE: PATH: MESSAGE."""

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self.lines = list(lines)


@_flows.command()
def check(files: Files) -> None:
    """Tell every mistake in flows, with its path and line; exit with 1 if there is one."""
    wrong = 0
    for file in files:
        try:
            flow = _read(file)
        except _WrongFlowError as error:
            wrong += 1
            for line in error.lines:
                typer.echo(line, err=True)
        else:
            typer.echo(f"{file}: {flow.namespace}.{flow.id} is right: {len(flow.tasks)} tasks")
    if wrong:
        raise typer.Exit(1)


@_flows.command()
def graph(file: File) -> None:
    """Draw a flow as a Mermaid flowchart, which GitHub, many editors and mermaid.live show as a picture."""
    try:
        typer.echo(mermaid(_read(file)), nl=False)
    except _WrongFlowError as error:
        for line in error.lines:
            typer.echo(line, err=True)
        raise typer.Exit(1) from None


def _read(file: Path) -> Flow:
    try:
        content = file.read_bytes()
        document = decode(content)
    except OSError as error:
        raise _WrongFlowError([f"{file}: {error.strerror}"]) from None
    except TaskRpcError as error:
        place = f":{error.data['line']}" if error.data and "line" in error.data else ""
        raise _WrongFlowError([f"{file}{place}: {error.message}"]) from None
    try:
        return parse_flow(document)
    except InvalidFlowError as error:
        lines = [(line_of(content, mistake.path) or 1, str(mistake)) for mistake in error.mistakes]
        raise _WrongFlowError(
            f"{file}:{line}: {text}" for line, text in sorted(lines, key=lambda each: each[0])
        ) from None
