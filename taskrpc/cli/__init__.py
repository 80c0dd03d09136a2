"""The command line: a file per command."""

import typer

from taskrpc.cli import bench, call, demo, doctor, flow, key, migrate, secrets, serve, work

app = typer.Typer(
    name="taskrpc",
    help="A task executor service: POST /rpc in YAML or JSON, a queue in PostgreSQL, executors in any language.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (serve, demo, call, work, migrate, doctor, key, secrets, bench, flow):
    part.command(app)


def main() -> None:
    """The entry point of the command `taskrpc`."""
    app()
