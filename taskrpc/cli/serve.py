"""`taskrpc serve`: the service."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
import uvloop
from pydantic import ValidationError

from taskrpc import collector, logs
from taskrpc.app import Running, Service
from taskrpc.cli.signals import on_signals
from taskrpc.core.definition import invalid
from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings
from taskrpc.supervisor import Supervisor, WorkersRefused


def _option(field: str, *names: str, more: str = "") -> Any:
    info = Settings.model_fields[field]
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    return typer.Option(
        *names,
        help=f"{info.description}{more}",
        envvar=f"TASKRPC_{field.upper()}",
        show_default=_default(info.default),
        metavar=f"<{'|'.join(choices)}>" if choices else None,
    )


def _default(value: object) -> str | bool:
    """What the help says holds without the option; the setting has it, the command's own default is None."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return False if value in (None, ()) else str(value)


def read_settings(**flags: Any) -> Settings:
    """Settings from flags and the environment; ends the command with a sentence when they are wrong."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None and value != []})
    except ValidationError as error:
        typer.echo(f"taskrpc: {invalid(error).message}", err=True)
        raise typer.Exit(2) from None


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def serve(
        host: Annotated[str | None, _option("host")] = None,
        port: Annotated[int | None, _option("port")] = None,
        workers: Annotated[int | None, _option("workers")] = None,
        database_url: Annotated[str | None, _option("database_url")] = None,
        data_dir: Annotated[Path | None, _option("data_dir")] = None,
        definitions: Annotated[
            list[Path] | None, _option("definitions", more=" The variable separates several by a colon.")
        ] = None,
        strict_definitions: Annotated[
            bool | None, _option("strict_definitions", "--strict-definitions/--no-strict-definitions")
        ] = None,
        max_body: Annotated[int | None, _option("max_body")] = None,
        log_format: Annotated[str | None, _option("log_format")] = None,
        log_level: Annotated[str | None, _option("log_level")] = None,
        log_retention_days: Annotated[int | None, _option("log_retention_days")] = None,
        storage: Annotated[str | None, _option("storage")] = None,
        max_file: Annotated[int | None, _option("max_file")] = None,
        secret_key_file: Annotated[
            Path | None, _option("secret_key_file", more=" TASKRPC_SECRET_KEY has the keys themselves.")
        ] = None,
        notify: Annotated[bool | None, _option("notify", "--notify/--no-notify")] = None,
        callback_networks: Annotated[
            list[str] | None,
            _option("callback_networks", more=" The variable separates several by a comma."),
        ] = None,
        insecure: Annotated[bool | None, _option("insecure", "--insecure/--no-insecure")] = None,
    ) -> None:
        """Run the service until SIGTERM or SIGINT. Any number of servers may share a database.

        SIGHUP replaces workers one after the other; a service without any ends, as with SIGTERM.
        """
        settings = read_settings(**locals())
        logs.set_up(settings.log_format, settings.log_level)
        try:
            uvloop.run(_serve(settings) if settings.workers == 1 else _supervise(settings))
        except WorkersRefused:
            raise typer.Exit(1) from None
        except TaskRpcError as error:
            typer.echo(f"taskrpc: {error.message}", err=True)
            raise typer.Exit(1) from None


async def _serve(settings: Settings) -> None:
    service = Service(settings)
    on_signals(service.stop, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def on_ready(running: Running) -> None:
        collector.relax()
        _tell(running.url)

    await service.run(on_ready)


async def _supervise(settings: Settings) -> None:
    supervisor = Supervisor(settings)
    on_signals(supervisor.stop, signal.SIGTERM, signal.SIGINT)
    on_signals(supervisor.renew, signal.SIGHUP)
    await supervisor.run(_tell)


def _tell(url: str) -> None:
    sys.stdout.write(f"taskrpc is ready: POST {url}/rpc\n")
    sys.stdout.flush()
