"""Server processes for the length of a run: `taskrpc serve`, or another program that says the same when it is ready."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from taskrpc.bench.connection import LoadError

_READY: Final = "taskrpc is ready: POST "
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0

SERVE: Final = (sys.executable, "-m", "taskrpc", "serve", "--port", "0", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that are up: their URLs and process ids."""

    urls: tuple[str, ...]
    pids: tuple[int, ...]


# Starts servers on a database: its URL and how many.
StartServers = Callable[[str, int], AbstractAsyncContextManager[Servers]]


def starting(command: Sequence[str]) -> StartServers:
    """Servers of a program that takes `--database-url` and says on its output when it is ready, and its URL."""

    @contextlib.asynccontextmanager
    async def start(database_url: str, count: int) -> AsyncIterator[Servers]:
        async with contextlib.AsyncExitStack() as stack:
            processes = [await stack.enter_async_context(_process(command, database_url)) for _ in range(count)]
            urls = [await _ready(process) for process in processes]
            yield Servers(tuple(urls), tuple(process.pid for process in processes))

    return start


serving: Final = starting(SERVE)


@contextlib.asynccontextmanager
async def _process(command: Sequence[str], database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    # Settings of the person who measures are not the ones that are measured.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKRPC_")}
    process = await asyncio.create_subprocess_exec(
        *command, "--database-url", database_url, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        yield process
    finally:
        await stopped(process)


async def _ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = (await process.stdout.readline()).decode()
    except TimeoutError:
        line = ""
    if not line.startswith(_READY):
        raise LoadError(f"the server did not start: {line or 'it said nothing'}")
    return line.removeprefix(_READY).removesuffix("/rpc\n")


async def stopped(process: asyncio.subprocess.Process) -> None:
    """Ends a process, kindly at first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
