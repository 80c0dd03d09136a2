"""A process of this machine and all that it starts: one process group, which ends with the task."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskrpc.errors import TaskRpcError

from .output_lines import OutputLines

GRACE_SECONDS: Final = 5.0
_PIECE: Final = 64 * 1024
# A process that left the group may hold the pipes open; nobody waits for it.
_LAST_WORDS_SECONDS: Final = 2.0

Take = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, and with which variables of the environment."""

    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]


async def run(command: Command, take: Take, stopped: asyncio.Task[None], seconds: float | None) -> int:
    """Runs a command to its end; answers its exit code (128 + n for the signal n). `take` gets the lines of its output.

    When `stopped` is done, or after so many seconds, its group is asked to end (SIGTERM), then killed; then
    `stopped` or `timeout` is raised. However this ends, also if it is cancelled, nothing of the group lives on.
    """
    async with _piped("stdout", take) as stdout, _piped("stderr", take) as stderr:
        process = await _start(command, stdout, stderr)
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait((ended, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _signal(process, signal.SIGTERM)
                await asyncio.wait((ended,), timeout=GRACE_SECONDS)
                raise _unfinished(stopped.done(), seconds)
            code = ended.result()
            return code if code >= 0 else 128 - code
        finally:
            _signal(process, signal.SIGKILL)
            await asyncio.shield(ended)


def _unfinished(stopped: bool, seconds: float | None) -> TaskRpcError:
    if stopped:
        return TaskRpcError("stopped", "The task was asked to stop; its processes were ended")
    return TaskRpcError("timeout", f"The task took longer than {seconds:g} s; its processes were ended")


async def _start(command: Command, stdout: int, stderr: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=command.directory,
            env=dict(command.environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TaskRpcError("invalid-params", f"{command.arguments[0]} cannot be run: {reason}") from None
    finally:
        os.close(stdout)
        os.close(stderr)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.asynccontextmanager
async def _piped(stream: str, take: Take) -> AsyncIterator[int]:
    """A pipe, whose end to be written to is the caller's; its lines are taken until the block is over.

    Not asyncio's own pipes: then the end of a process would wait for whoever else holds them.
    """
    read_end, write_end = os.pipe()
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=_PIECE)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    reading = asyncio.ensure_future(_read(reader, stream, take))
    try:
        yield write_end
    finally:
        await asyncio.wait((reading,), timeout=_LAST_WORDS_SECONDS)
        reading.cancel()
        transport.close()
    if not reading.cancelled() and reading.done():
        reading.result()


async def _read(reader: asyncio.StreamReader, stream: str, take: Take) -> None:
    """Takes all lines; if one cannot be taken the rest is read nevertheless, since who writes must not be held up."""
    lines, refusal = OutputLines(), None
    while data := await reader.read(_PIECE):
        try:
            for line in lines.feed(data) if refusal is None else ():
                take(stream, line)
        except TaskRpcError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    for line in lines.end():
        take(stream, line)
