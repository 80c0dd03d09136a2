"""`taskrpc doctor`: what is wrong with a database of taskrpc, and what to do about it."""

import asyncio
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from taskrpc.cli.serve import read_settings
from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings
from taskrpc.store.checkup import Finding, examine
from taskrpc.store.embedded import EmbeddedPostgres


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
        try:
            findings = asyncio.run(_examine(settings))
        except (TaskRpcError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            typer.echo(f"WRONG  database      cannot be reached: {error}")
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


async def _examine(settings: Settings) -> list[Finding]:
    if settings.database_url is not None:
        return await examine(settings.database_url)
    async with EmbeddedPostgres(settings.data_dir) as embedded:
        return await examine(embedded.url)
