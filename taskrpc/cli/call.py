"""`taskrpc call`: one call of the service from a shell."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from taskrpc.client import Client, RetryPolicy
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON, YAML

# A person waits: long enough for a server that restarts, no longer.
_PATIENCE = RetryPolicy(budget=3.0)


def command(app: typer.Typer) -> None:
    """Enters the command."""

    @app.command()
    def call(
        method: Annotated[
            str | None, typer.Argument(metavar="METHOD", show_default=False, help="As in task/list.")
        ] = None,
        values: Annotated[
            list[str] | None, typer.Argument(metavar="NAME=VALUE", show_default=False, help="Params.")
        ] = None,
        file: Annotated[
            str | None, typer.Option("--file", "-f", metavar="FILE", help="Params, or without METHOD a whole request.")
        ] = None,
        url: Annotated[str, typer.Option(envvar="TASKRPC_URL", help="The service.")] = "http://127.0.0.1:8080",
        key: Annotated[str | None, typer.Option(envvar="TASKRPC_KEY", help="Key, sent as X-API-KEY.")] = None,
        output: Annotated[
            Literal["yaml", "json"], typer.Option("--output", "-o", help="Format of the answer.")
        ] = "yaml",
    ) -> None:
        """Call METHOD and print its result.

        A VALUE is a YAML scalar, or a list or mapping in one line.
        Dots in a NAME nest: params.input.url=file:///x.
        FILE is YAML or JSON, - is standard input; a VALUE replaces what is in it.
        Exit status 1 is an error of the service, which is printed too.
        """
        words = [word for word in (method, *(values or ())) if word is not None]
        name, params = read_request(words, None if file is None else _read(file))
        try:
            client = Client(url, api_key=key, retry=_PATIENCE)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        with client:
            answer, failed = _call(client, name, params)
        codec = JSON if output == "json" else YAML
        sys.stdout.write(codec.encode(answer).decode().rstrip("\n") + "\n")
        if failed:
            raise typer.Exit(1)


def _call(client: Client, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    try:
        return client.call(method, params), False
    except TaskRpcError as error:
        typer.echo(f"taskrpc: {error}", err=True)
        return {"error": error.to_wire()}, True


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None


def read_request(words: Sequence[str], content: bytes | None) -> tuple[str, dict[str, Any]]:
    """Method and params from the command line's words and the file's content.

    Raises `typer.BadParameter`.
    """
    method = words[0] if words and "=" not in words[0] else None
    document = {} if content is None else _mapping(content)
    if method is None:
        method, document = document.get("method"), document.get("params") or {}
    if not isinstance(method, str) or not isinstance(document, dict):
        raise typer.BadParameter("name a METHOD, as in: taskrpc call task/list, or a file with {method, params}")
    for word in words:
        if word is not method:
            _assign(document, word)
    return method, document


def _mapping(content: bytes) -> dict[str, Any]:
    try:
        document = _decode(content)
    except TaskRpcError as error:
        raise typer.BadParameter(error.message, param_hint="--file") from None
    if not isinstance(document, dict):
        raise typer.BadParameter("has to be a mapping", param_hint="--file")
    return document


def _decode(content: bytes) -> object:
    """YAML contains JSON, but for details like its tabs."""
    if content.lstrip().startswith(b"{"):
        try:
            return JSON.decode(content)
        except TaskRpcError:
            pass
    return YAML.decode(content)


def _assign(params: dict[str, Any], word: str) -> None:
    name, equals, value = word.partition("=")
    if not equals or not all(path := name.split(".")):
        raise typer.BadParameter(f"{word!r} is not NAME=VALUE, as in: label=first")
    *above, last = path
    target = params
    for key in above:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise typer.BadParameter(f"{name}: {key} has a value already, which is no mapping")
    target[last] = _value(value)


def _value(text: str) -> object:
    """Text that only happens to look like YAML (`label=Note: this`, `label=@you`) stays text."""
    is_structure = text.lstrip().startswith(("{", "[", '"', "'"))
    if not text.strip():
        return None
    try:
        value = YAML.decode(text.encode())
    except TaskRpcError as error:
        if is_structure:
            raise typer.BadParameter(f"{text}: {error.message}") from None
        return text
    return value if is_structure or not isinstance(value, dict | list) else text
