"""`taskrpc secrets`: the keys with which secrets are encrypted."""

from pathlib import Path
from typing import Annotated

import typer

from taskrpc.cli.database import say, with_database
from taskrpc.cli.serve import read_settings
from taskrpc.engine.cipher import Cipher, new_key
from taskrpc.engine.secrets import Secrets
from taskrpc.errors import TaskRpcError
from taskrpc.secret_keys import load_cipher
from taskrpc.store.database import Database


def command(app: typer.Typer) -> None:
    """Enters the commands."""
    secrets = typer.Typer(help="The keys with which secrets are encrypted.", no_args_is_help=True)
    app.add_typer(secrets, name="secrets")

    @secrets.command("new-key")
    def print_new_key() -> None:
        """Print a new key, for TASKRPC_SECRET_KEY or a file of keys."""
        typer.echo(new_key())

    @secrets.command()
    def rotate(
        database_url: Annotated[
            str | None, typer.Option(envvar="TASKRPC_DATABASE_URL", help="PostgreSQL; else the embedded one.")
        ] = None,
        data_dir: Annotated[
            Path | None, typer.Option(envvar="TASKRPC_DATA_DIR", help="Where the embedded PostgreSQL keeps its data.")
        ] = None,
        secret_key_file: Annotated[
            Path | None, typer.Option(envvar="TASKRPC_SECRET_KEY_FILE", help="File of keys for secrets.")
        ] = None,
    ) -> None:
        """Encrypt all secrets with the first key.

        Put the new key before the former one, in TASKRPC_SECRET_KEY or the file of keys, and restart all servers.
        Then run this. Then the former key can be taken away.
        """
        settings = read_settings(database_url=database_url, data_dir=data_dir, secret_key_file=secret_key_file)
        try:
            changed, seen = with_database(settings, lambda url: _rotate(url, load_cipher(settings)))
        except TaskRpcError as error:
            raise say(error) from None
        typer.echo(f"{changed} of {seen} secrets were encrypted anew; the others had the first key already")


async def _rotate(url: str, cipher: Cipher) -> tuple[int, int]:
    database = Database(url, connections=1, readers=1)
    try:
        await database.open()
        return await Secrets(database, cipher).reencrypt()
    finally:
        await database.close()
