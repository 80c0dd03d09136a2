"""`taskrpc flow run`: runs a flow and shows its task runs while they go on."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import typer
from rich.console import Console
from rich.live import Live

from taskrpc import logs
from taskrpc.app import running
from taskrpc.cli.flow_files import WrongFlowError, read_flow
from taskrpc.cli.flow_tree import Status, is_over, lines_of, tree_of
from taskrpc.cli.serve import read_settings
from taskrpc.cli.signals import until_signal
from taskrpc.cli.work import at_work, register_flows
from taskrpc.client import AsyncClient
from taskrpc.client.files import AsyncFiles
from taskrpc.core.file_uri import uri_of
from taskrpc.core.flow.model import Flow
from taskrpc.core.ids import uuid7
from taskrpc.engine.flows import flow_name
from taskrpc.errors import TaskRpcError
from taskrpc.executor import Executor
from taskrpc.settings import Settings
from taskrpc.wire.codecs import JSON, YAML

_INTERVAL_SECONDS: Final = 0.2
_INTERRUPTED: Final = 130
_CONCURRENCY: Final = 4

Output = Literal["text", "yaml", "json"]


class _Order(NamedTuple):
    """What is to be run: the flows of the files, the first of which is started, and its inputs as they were given."""

    flows: Sequence[tuple[Flow, str]]
    inputs: Mapping[str, str]

    @property
    def name(self) -> str:
        """The definition of the flow that is started."""
        flow, _ = self.flows[0]
        return flow_name(flow.namespace, flow.id)


class _Place(NamedTuple):
    """Where it is run: on a service that runs, or on one that is started with these settings; `works`: tasks are
    carried out here."""

    url: str | None
    key: str | None
    settings: Settings
    works: bool


def command(flows: typer.Typer) -> None:
    """Enters the command."""

    @flows.command()
    def run(
        files: Annotated[
            list[Path],
            typer.Argument(
                metavar="FILE…", help="The flow, in YAML or JSON; then further ones that it starts.", dir_okay=False
            ),
        ],
        inputs: Annotated[
            list[str] | None,
            typer.Option(
                "--input", "-i", metavar="NAME=VALUE",
                help="An input; may be given several times. For one of type FILE a VALUE of @PATH uploads a file.",
            ),
        ] = None,
        url: Annotated[
            str | None, typer.Option(help="Run it on this service, which executors work for, not on one of its own.")
        ] = None,
        key: Annotated[str | None, typer.Option(envvar="TASKRPC_KEY", help="Key, sent as X-API-KEY.")] = None,
        work: Annotated[bool, typer.Option("--work", help="With --url: carry out tasks of flows here, too.")] = False,
        data_dir: Annotated[Path | None, typer.Option(help="Data of the embedded PostgreSQL.")] = None,
        output: Annotated[
            Output, typer.Option("--output", "-o", help="At the end print the execution and its task runs.")
        ] = "text",
    ) -> None:  # fmt: skip
        """Run a flow and show its task runs, with their states and durations, until it has ended.

        It runs on the embedded service, where the reference executor carries out scripts and HTTP requests, as this
        user on this machine. Exit status 1: it has failed, or cannot run. Ctrl-C kills it.
        """
        settings = read_settings(port=None, data_dir=data_dir)
        settings = settings.model_copy(update={"database_url": None, "port": 0})  # whatever the environment says
        place = _Place(url, key, settings, work or url is None)
        logs.set_up("text", "error")
        raise typer.Exit(_exit_status(_order(files, inputs or []), place, output))


def _order(files: Sequence[Path], inputs: Sequence[str]) -> _Order:
    flows, wrong = [], []
    for file in files:
        try:
            flows.append(read_flow(file))
        except WrongFlowError as error:
            wrong += error.lines
    if wrong:
        typer.echo("\n".join(wrong), err=True)
        raise typer.Exit(1)
    given = {}
    for each in inputs:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--input")
        given[name] = value
    return _Order(flows, given)


def _exit_status(order: _Order, place: _Place, output: Output) -> int:
    """Runs the flow and tells what has become of it."""
    console = Console(stderr=output != "text")
    try:
        status = asyncio.run(until_signal(_run(order, place, console)))
    except (TaskRpcError, OSError) as error:
        typer.echo(f"taskrpc: {error}", err=True)
        return 1
    if status is None:
        return _INTERRUPTED
    if output != "text":
        codec = JSON if output == "json" else YAML
        sys.stdout.write(codec.encode(status).decode().rstrip("\n") + "\n")
    return 0 if status["resource"]["outcome"] == "succeeded" else 1


async def _run(order: _Order, place: _Place, console: Console) -> Status:
    async with _service(place) as url, AsyncClient(url, api_key=place.key) as client:
        for _, text in order.flows:
            await client.flow_put(text)
        params = await _params(order, url, place.key)
        created = await client.workflow_create_and_execute(order.name, params)
        execution_id: str = created["resource"]["id"]
        try:
            async with _executor(url, place):
                hint = _Hint(order.flows[0][0], f"taskrpc call workflow/resume id={execution_id} --url {url}")
                status = await _watched(client, execution_id, console, hint)
        except asyncio.CancelledError:
            with contextlib.suppress(TaskRpcError):
                await client.workflow_kill(execution_id)
            raise
    tell_end(status["resource"], console)
    return status


@contextlib.asynccontextmanager
async def _service(place: _Place) -> AsyncIterator[str]:
    """The URL of a service."""
    if place.url is not None:
        yield place.url
    else:
        async with running(place.settings) as service:
            yield service.url


@contextlib.asynccontextmanager
async def _executor(url: str, place: _Place) -> AsyncIterator[None]:
    """The reference executor, at work on the tasks of flows for the length of a block."""
    if not place.works:
        yield
        return
    executor = Executor(url, api_key=place.key, grace=2.0)
    register_flows(executor, url, place.key, _CONCURRENCY)
    async with at_work(executor):
        yield


async def _params(order: _Order, url: str, key: str | None) -> dict[str, str]:
    """The inputs as they are sent: of files their URIs."""
    types = {each.id: each.type for each in order.flows[0][0].inputs}
    params = dict(order.inputs)
    for name, value in order.inputs.items():
        if types.get(name) == "FILE" and value.startswith("@"):
            file = Path(value[1:])
            params[name] = uri_of(f"inputs/{uuid7()}/{file.name}")
            async with AsyncFiles(url, api_key=key) as files:
                await files.upload(file, params[name])
    return params


class _Hint(NamedTuple):
    """How to have an execution go on that waits for somebody. A loop waits too, but nobody can resume it."""

    flow: Flow
    command: str

    def is_due(self, status: Status) -> bool:
        loops = {id for id, task in self.flow.tasks.items() if task.kind == "LoopUntil"}
        waiting = (run["taskId"] for run in status["taskRuns"] if run["state"] == "PAUSED")
        return status["resource"].get("state") == "PAUSED" and any(id not in loops for id in waiting)


async def _watched(client: AsyncClient, execution_id: str, console: Console, hint: _Hint) -> Status:
    """Shows an execution until it has ended; answers what has become of it."""
    told: set[str] = set()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or contextlib.nullcontext():
        while True:
            status = await _status(client, execution_id)
            if live is not None:
                live.update(tree_of(status), refresh=True)
            for line in () if live is not None else lines_of(status, told):
                _print(console, line)
            if is_over(status):
                return status
            if "paused" not in told and hint.is_due(status):
                told.add("paused")
                _print(console, f"It is paused. To resume it: {hint.command}")
            await asyncio.sleep(_INTERVAL_SECONDS)


async def _status(client: AsyncClient, execution_id: str) -> Status:
    """The execution with its task runs, but where those are too many for an answer."""
    try:
        return await client.workflow_status(execution_id, include_task_runs=True, include_log=True)
    except TaskRpcError as refusal:
        if refusal.type != "invalid-params":
            raise
        return {**await client.workflow_status(execution_id), "taskRuns": []}


def tell_end(resource: Mapping[str, Any], console: Console) -> None:
    """What an execution has come to."""
    message = (resource.get("error") or {}).get("message")
    end = f"{resource['definition']} {resource.get('state', resource['outcome'])}"
    _print(console, f"{end}: {message}" if message else end)
    if resource.get("result"):
        outputs = YAML.encode({"outputs": resource["result"]}).decode().rstrip("\n")
        _print(console, outputs)


def _print(console: Console, text: str) -> None:
    """As it is: what flows say is no markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
