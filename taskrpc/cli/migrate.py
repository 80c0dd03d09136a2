"""`taskrpc migrate`: brings a database up to this version."""

from pathlib import Path
from typing import Annotated

import typer

from taskrpc.cli.database import say, with_database
from taskrpc.cli.serve import read_settings
from taskrpc.errors import TaskRpcError
from taskrpc.store.migrate import migrate as apply


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def migrate(
        database_url: Annotated[
            str | None, typer.Option(help="PostgreSQL to migrate; without one the embedded server.")
        ] = None,
        data_dir: Annotated[Path | None, typer.Option(help="Data of the embedded PostgreSQL.")] = None,
    ) -> None:
        """Apply the migrations that a database lacks. `taskrpc serve` does so by itself."""
        settings = read_settings(database_url=database_url, data_dir=data_dir)
        try:
            names = with_database(settings, apply)
        except TaskRpcError as error:
            raise say(error) from None
        for name in names:
            typer.echo(f"applied {name}")
        if not names:
            typer.echo("nothing to do: the database is up to date")
