"""`taskrpc doctor`: what is wrong with a database of taskrpc, and what to do about it."""

from pathlib import Path
from typing import Annotated

import typer

from taskrpc.cli.database import with_database
from taskrpc.cli.serve import read_settings
from taskrpc.errors import TaskRpcError
from taskrpc.store.checkup import examine


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def doctor(
        database_url: Annotated[
            str | None, typer.Option(help="PostgreSQL to examine; without one the embedded server.")
        ] = None,
        data_dir: Annotated[Path | None, typer.Option(help="Data of the embedded PostgreSQL.")] = None,
    ) -> None:
        """Show versions, migrations, queues and who holds back vacuum; say what is wrong and what to do.

        Exit status 1 when something is wrong.
        """
        settings = read_settings(database_url=database_url, data_dir=data_dir)
        if settings.database_url is None and not settings.data_dir.exists():
            typer.echo(f"taskrpc: there is nothing in {settings.data_dir}; name --data-dir or --database-url", err=True)
            raise typer.Exit(1)
        try:
            findings = with_database(settings, examine)
        except TaskRpcError as error:
            typer.echo(f"WRONG  database      {_printable(error.message.removeprefix('the database '))}")
            raise typer.Exit(1) from None
        for finding in findings:
            typer.echo(f"{'ok    ' if finding.fine else 'WRONG '} {finding.subject:<13} {_printable(finding.message)}")
            if finding.remedy:
                typer.echo(f"{'':21}→ {finding.remedy}")
        if not all(finding.fine for finding in findings):
            raise typer.Exit(1)


def _printable(text: str) -> str:
    """Names are anybody's text: what a terminal would act upon is shown as it is written in Python."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
