"""`taskrpc key`: who may call."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import asyncpg
import typer

from taskrpc.cli.database import say, with_database
from taskrpc.cli.serve import read_settings
from taskrpc.core.access import NAME_RULE, Role, digest_of, is_name, new_key
from taskrpc.core.callback import shown_secret
from taskrpc.core.timestamps import format_time
from taskrpc.errors import TaskRpcError
from taskrpc.store.hosts import connect
from taskrpc.store.keys import KeyRecord, add_key, list_keys, read_callback_secret, revoke_key
from taskrpc.store.migrate import migrate

T = TypeVar("T")

DatabaseUrl = Annotated[str | None, typer.Option(help="PostgreSQL of the service; without one the embedded server.")]
DataDir = Annotated[Path | None, typer.Option(help="Data of the embedded PostgreSQL.")]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


def command(app: typer.Typer) -> None:
    """Enters the commands."""
    keys = typer.Typer(name="key", help="Make, list and revoke the keys with which clients may call.")
    app.add_typer(keys, no_args_is_help=True)
    for part in (_create, _list, _revoke, _callback_secret):
        part(keys)


def _create(keys: typer.Typer) -> None:
    @keys.command()
    def create(
        name: Name,
        role: Annotated[Role, typer.Option(help="Executors poll, users have work done, admins may do everything.")],
        definition: Annotated[
            list[str] | None, typer.Option(help="The only definition that it is for; may be given several times.")
        ] = None,
        database_url: DatabaseUrl = None,
        data_dir: DataDir = None,
    ) -> None:
        """Make a key and show it, once: only its digest is kept.

        From the first key on, every call needs one.
        """
        if not is_name(name):
            raise typer.BadParameter(NAME_RULE, param_hint="NAME")
        key = new_key(name)
        added = _in_database(
            database_url, data_dir, lambda it: add_key(it, name, role, digest_of(key.encode()), definition or None)
        )
        if not added:
            raise say(TaskRpcError("forbidden", f"there is a key {name} already: revoke it, or take another name"))
        typer.echo(key)


def _list(keys: typer.Typer) -> None:
    @keys.command("list")
    def list_all(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
        """Show names, roles and definitions of all keys."""
        for record in _in_database(database_url, data_dir, list_keys):
            typer.echo(_line(record))


def _revoke(keys: typer.Typer) -> None:
    @keys.command()
    def revoke(name: Name, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
        """Have a key refused from now on: by servers that listen at once, by all within two seconds."""
        if not _in_database(database_url, data_dir, lambda connection: revoke_key(connection, name)):
            raise say(TaskRpcError("not-found", f"there is no key {name}"))
        typer.echo(f"revoked {name}")


def _callback_secret(keys: typer.Typer) -> None:
    @keys.command()
    def callback_secret(database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
        """Show the secret that callbacks are signed with, for those who receive them."""
        typer.echo(shown_secret(_in_database(database_url, data_dir, read_callback_secret)))


def _line(record: KeyRecord) -> str:
    access = record.access
    bound = "all definitions" if access.definitions is None else ", ".join(sorted(access.definitions))
    return f"{access.name:<24} {access.role:<9} {format_time(record.created_at)}  {bound}"


def _in_database(
    database_url: str | None, data_dir: Path | None, work: Callable[[asyncpg.Connection], Awaitable[T]]
) -> T:
    async def connected(url: str) -> T:
        await migrate(url)
        connection = await connect(url, timeout=5)
        try:
            return await asyncio.wait_for(work(connection), 10)
        finally:
            await connection.close()

    settings = read_settings(database_url=database_url, data_dir=data_dir)
    try:
        return with_database(settings, connected)
    except TaskRpcError as error:
        raise say(error) from None
