"""`taskrpc migrate`: brings a database up to this version."""

import asyncio
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from taskrpc.cli.serve import read_settings
from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings
from taskrpc.store.embedded import EmbeddedPostgres
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
            names = asyncio.run(_migrate(settings))
        except (TaskRpcError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            typer.echo(f"taskrpc: {error}", err=True)
            raise typer.Exit(1) from None
        for name in names:
            typer.echo(f"applied {name}")
        if not names:
            typer.echo("nothing to do: the database is up to date")


async def _migrate(settings: Settings) -> list[str]:
    if settings.database_url is not None:
        return await apply(settings.database_url)
    async with EmbeddedPostgres(settings.data_dir) as embedded:
        return await apply(embedded.url)
