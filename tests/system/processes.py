"""`taskrpc` as real processes: servers that a test starts, drains and kills, and commands that it runs."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.system.waiting import DEADLINE_SECONDS, until
from tests.system.wire import connection

_READY: Final = "taskrpc is ready: POST "
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


async def _spawn(*arguments: str, stderr: Any, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "taskrpc",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


def code_of(checkout: Path) -> dict[str, str]:
    """The environment of a process that runs the code of a directory: what is in the current one does not come
    first."""
    path = os.pathsep.join([str(checkout), *(each for each in sys.path if each)])
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


async def run(*arguments: str, **environment: str) -> Ended:
    """Runs a `taskrpc` command to its end."""
    process = await _spawn(*arguments, stderr=asyncio.subprocess.PIPE, **environment)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


class ServerProcess:
    """A `taskrpc serve` of its own."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.url = ""

    @classmethod
    async def spawn(cls, log: Path, *arguments: str, **environment: str) -> "ServerProcess":
        """Starts a process on a free port, which appends its log to a file; it is not ready yet."""
        with log.open("ab") as stderr:
            return cls(await _spawn("serve", "--port", "0", *arguments, stderr=stderr, **environment), log)

    async def ready(self, seconds: float = DEADLINE_SECONDS) -> "ServerProcess":
        """Waits until the server says that it is ready, and keeps its URL."""
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith(_READY), self.log
        self.url = line.removeprefix(_READY).removesuffix("/rpc\n")
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    async def logged(self, text: str) -> None:
        """Waits until a text stands in the log."""

        async def stands_there() -> bool:
            return text in self.log

        await until(stands_there)

    async def health(self) -> Any:
        """What `/health/ready` answers."""
        async with connection(self.url) as wire:
            return (await wire.get("/health/ready")).body

    async def waiting(self, *, polls: int = 0, results: int = 0, seconds: float = DEADLINE_SECONDS) -> None:
        """Waits until exactly so many callers wait for tasks, and for the ends of tasks."""

        async def as_many() -> bool:
            health = await self.health()
            return (health.get("waitingPolls"), health.get("waitingResults")) == (polls, results)

        await until(as_many, seconds)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Waits for its end; answers the exit status."""
        async with asyncio.timeout(seconds):
            return await self._process.wait()

    async def kill(self) -> None:
        """Ends it without any chance to tidy up."""
        self.signal(signal.SIGKILL)
        await self.ended()
