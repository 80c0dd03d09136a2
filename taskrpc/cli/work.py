"""`taskrpc work`: the reference executor."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from taskrpc import logs
from taskrpc.errors import TaskRpcError
from taskrpc.executor import Executor


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def work(
        database_url: Annotated[
            str, typer.Option(envvar="TASKRPC_DATABASE_URL", help="PostgreSQL to import into, postgresql://…")
        ],
        url: Annotated[str, typer.Option(envvar="TASKRPC_URL", help="The service.")] = "http://127.0.0.1:8080",
        key: Annotated[str | None, typer.Option(envvar="TASKRPC_KEY", help="Key, sent as X-API-KEY.")] = None,
        concurrency: Annotated[int, typer.Option(min=1, help="Tasks at a time.")] = 4,
        allow_files: Annotated[
            list[Path] | None,
            typer.Option(metavar="DIRECTORY", help="Allow imports of files below it; may be given several times."),
        ] = None,
        grace: Annotated[float, typer.Option(min=0, help="Seconds for running tasks after SIGTERM.")] = 30.0,
    ) -> None:
        """Carry out aidbox.bulk/import-resource-task.

        Resources from NDJSON, perhaps gzipped, go into the table taskrpc_import.resource.
        SIGTERM and SIGINT drain: running imports may finish, then they are handed back.
        """
        logs.set_up("text", "info")
        try:
            asyncio.run(_reach(database_url))
            executor = Executor(url, api_key=key, grace=grace)
            register_import(executor, database_url, allow_files or [], concurrency)
            executor.run()
        except (ValueError, asyncpg.InterfaceError) as error:
            raise typer.BadParameter(str(error)) from None
        except (TaskRpcError, OSError, asyncpg.PostgresError) as error:
            typer.echo(f"taskrpc: {error}", err=True)
            raise typer.Exit(1) from None


async def _reach(database_url: str) -> None:
    """A wrong address is said at once, and not with the first task."""
    connection = await asyncpg.connect(database_url)
    await connection.close()


def register_import(executor: Executor, database_url: str, directories: Sequence[Path], concurrency: int) -> str:
    """Let `executor` carry out imports; answers the name of their definition."""
    from taskrpc_executors import BulkImport  # noqa: PLC0415  (a package of its own, which the service does without)

    BulkImport(database_url, directories).register(executor, concurrency)
    return BulkImport.DEFINITION
