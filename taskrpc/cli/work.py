"""`taskrpc work`: the reference executor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
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
            str | None,
            typer.Option(envvar="TASKRPC_DATABASE_URL", help="PostgreSQL to import into, postgresql://…"),
        ] = None,
        url: Annotated[str, typer.Option(envvar="TASKRPC_URL", help="The service.")] = "http://127.0.0.1:8080",
        key: Annotated[str | None, typer.Option(envvar="TASKRPC_KEY", help="Key, sent as X-API-KEY.")] = None,
        concurrency: Annotated[int, typer.Option(min=1, help="Tasks of a type at a time.")] = 4,
        flows: Annotated[
            bool, typer.Option("--flows", help="Carry out tasks of flows; their commands run as this user.")
        ] = False,
        public_only: Annotated[
            bool, typer.Option("--public-only", help="HTTP requests of tasks go to public addresses only.")
        ] = False,
        allow_files: Annotated[
            list[Path] | None,
            typer.Option(metavar="DIRECTORY", help="Allow imports of files below it; may be given several times."),
        ] = None,
        grace: Annotated[float, typer.Option(min=0, help="Seconds for running tasks after SIGTERM.")] = 30.0,
    ) -> None:
        """Carry out imports, with --database-url, and the leaf tasks of flows, with --flows.

        aidbox.bulk/import-resource-task puts resources from NDJSON, perhaps gzipped, into the table
        taskrpc_import.resource. Of flows these are done: core.http.Request, core.storage.LocalFiles,
        core.flow.WorkingDirectory, scripts.shell.Commands, scripts.shell.Script, scripts.node.Script.
        SIGTERM and SIGINT drain: running tasks may finish, then they are handed back.
        """
        if database_url is None and not flows:
            raise typer.BadParameter("say what to carry out: --database-url for imports, --flows, or both")
        logs.set_up("text", "info")
        with _refusals_told():
            executor = Executor(url, api_key=key, grace=grace)
            if database_url is not None:
                asyncio.run(_reach(database_url))
                register_import(executor, database_url, allow_files or [], concurrency)
            if flows:
                register_flows(executor, url, key, concurrency, public_only)
            executor.run()


@contextlib.contextmanager
def _refusals_told() -> Iterator[None]:
    """Ends the command with a sentence for what cannot be."""
    try:
        yield
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


def register_flows(executor: Executor, url: str, key: str | None, concurrency: int, public_only: bool = False) -> None:
    """Let `executor` carry out the leaf tasks of flows."""
    from taskrpc_executors import FlowLeaves  # noqa: PLC0415  (a package of its own, which the service does without)

    FlowLeaves(url, api_key=key, public_only=public_only).register(executor, concurrency)


@contextlib.asynccontextmanager
async def at_work(executor: Executor) -> AsyncIterator[None]:
    """Has `executor` carry out tasks for the length of a block; those that it is at may then finish, in its grace."""
    serving = asyncio.create_task(executor.serve())
    try:
        yield
    finally:
        executor.drain()
        await serving
