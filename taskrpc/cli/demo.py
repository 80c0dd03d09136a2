"""`taskrpc demo`: the service, an executor and some work, to look at."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from taskrpc import logs
from taskrpc.app import Running, running
from taskrpc.cli.demo_input import Input
from taskrpc.cli.progress import show_progress
from taskrpc.cli.serve import read_settings
from taskrpc.cli.signals import until_signal
from taskrpc.cli.work import at_work, register_import
from taskrpc.client import AsyncClient
from taskrpc.errors import TaskRpcError
from taskrpc.executor import Executor
from taskrpc.settings import Settings

_SAMPLE: Final = Path(__file__).parents[1] / "sample"
_ORDER: Final = ("Organization", "Practitioner", "Patient", "Encounter", "Observation")
_PORTS_TRIED: Final = 100

_TRY: Final = """\
{lead}:

curl -s {url}/rpc -H 'content-type: text/yaml' --data-binary @- <<'END'
method: awf.task/create-and-execute
params:
  definition: {definition}
  params:
    type: aidbox
    input:
      url: {input}
      resourceType: {resource_type}
END

and see what became of all: taskrpc call task/list --url {url}
"""
_LOOK: Final = """\
{lead}:

taskrpc call task/list --url {url}
"""


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def demo(
        input: Annotated[
            list[str] | None,
            typer.Option(
                metavar="FILE|URL",
                help="Import this in place of the sample: NDJSON, perhaps gzipped. A URL (http, https) has to be named "
                "after its resources, like Patient.ndjson.gz. May be given several times.",
            ),
        ] = None,
        exit: Annotated[bool, typer.Option("--exit", help="End when the imports are done.")] = False,
        port: Annotated[int, typer.Option(min=1, max=65535, help="Port, or else the next free one.")] = 8080,
        data_dir: Annotated[Path | None, typer.Option(help="Data of the embedded PostgreSQL.")] = None,
    ) -> None:
        """Start everything on this machine and import a sample, with progress bars.

        The embedded PostgreSQL, the service and the reference executor run until Ctrl-C.
        """
        names = input or [str(_SAMPLE / f"{name}.ndjson.gz") for name in _ORDER]
        inputs = [Input.of(name) for name in names]
        settings = read_settings(port=_free_port(port), data_dir=data_dir)
        settings = settings.model_copy(update={"database_url": None})  # whatever the environment says

        logs.set_up("text", "warning")
        logging.getLogger("taskrpc.executor").setLevel(logging.ERROR)  # failed imports are told beside the bars
        try:
            succeeded = asyncio.run(until_signal(_demo(settings, inputs, exit)))
        except TaskRpcError as error:
            typer.echo(f"taskrpc: {error}", err=True)
            raise typer.Exit(1) from None
        if succeeded is False:  # and not ended by a signal
            raise typer.Exit(1)


def _free_port(first: int) -> int:
    for port in range(first, min(first + _PORTS_TRIED, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise typer.BadParameter(f"all ports from {first} on are taken", param_hint="--port")


async def _demo(settings: Settings, inputs: Sequence[Input], exit: bool) -> bool:
    """Whether everything was imported."""
    console = Console()
    where = f"PostgreSQL in {settings.data_dir} and the service on port {settings.port}"
    console.print(f"Starting {where} …", highlight=False, soft_wrap=True)
    async with running(settings) as service, AsyncClient(service.url) as client, _executor(service, inputs) as name:
        await client.definition_put(name, {"allowedRetryCount": 1, "description": "Imports NDJSON."})
        tasks = {await _create(client, name, input): input.resource_type for input in inputs}
        succeeded = await show_progress(client, tasks, console)
        await _tell_imported(service.database_url, inputs, console)
        lead = "With the service running (taskrpc serve)" if exit else "The service runs"
        hint = {"definition": name, "input": inputs[0].url, "resource_type": inputs[0].resource_type}
        text = _TRY.format(lead=f"{lead}; try next", url=service.url, **hint)
        if not succeeded:
            text = _LOOK.format(lead=f"{lead}; see what became of the imports", url=service.url)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        if exit:
            return succeeded
        console.print("Ctrl-C ends it.")
        await asyncio.Event().wait()
        return succeeded


@contextlib.asynccontextmanager
async def _executor(service: Running, inputs: Sequence[Input]) -> AsyncIterator[str]:
    """The reference executor, at work for the length of a block; the definition of its tasks."""
    executor = Executor(service.url, grace=5.0)
    directories = {_SAMPLE} | {input.folder for input in inputs if input.folder is not None}
    definition = register_import(executor, service.database_url, sorted(directories), concurrency=2)
    async with at_work(executor):
        yield definition


async def _create(client: AsyncClient, definition: str, input: Input) -> str:
    params: dict[str, Any] = {"type": "aidbox", "input": {"url": input.url, "resourceType": input.resource_type}}
    created = await client.create_and_execute(definition, params, label=f"Import {input.resource_type}")
    id: str = created["resource"]["id"]
    return id


async def _tell_imported(database_url: str, inputs: Sequence[Input], console: Console) -> None:
    from taskrpc_executors.resource_table import count_resources  # noqa: PLC0415  (as in register_import)

    console.print("\nIn the table taskrpc_import.resource:")
    counts = {input.resource_type: 0 for input in inputs} | await count_resources(database_url)
    for resource_type, count in sorted(counts.items()):
        console.print(f"  {resource_type:<14} {count:>9,} rows", highlight=False)
    console.print()
