"""The database that a command works on: the one that is named, or the embedded one for as long as the command takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
import typer

from taskrpc.errors import TaskRpcError
from taskrpc.settings import Settings
from taskrpc.store.database import AWAY

Result = TypeVar("Result")

_PATIENCE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.2


def with_database(settings: Settings, work: Callable[[str], Awaitable[Result]]) -> Result:
    """What `work` answers for the URL of the database; raises TaskRpcError `unavailable` with a sentence."""
    try:
        return asyncio.run(_with_database(settings, work))
    except (*AWAY, asyncpg.PostgresError, ValueError) as error:
        raise TaskRpcError("unavailable", f"the database cannot be reached: {error}") from error


async def _with_database(settings: Settings, work: Callable[[str], Awaitable[Result]]) -> Result:
    if settings.database_url is not None:
        return await work(settings.database_url)
    async with _embedded(settings) as url:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            try:
                return await work(url)
            except AWAY:  # its owner ended, and another process takes it over, perhaps this one
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def _embedded(settings: Settings) -> AsyncIterator[str]:
    from taskrpc.store.embedded import supervised  # noqa: PLC0415  (it runs on Linux only)

    async with supervised(settings.data_dir) as server:
        yield server.url


def say(error: TaskRpcError) -> typer.Exit:
    """Tells an error; answers what ends the command with status 1."""
    typer.echo(f"taskrpc: {error.message}", err=True)
    return typer.Exit(1)
