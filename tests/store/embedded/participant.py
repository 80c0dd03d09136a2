"""A process of its own around an `EmbeddedPostgres`, as `taskrpc serve` is one, that tests may kill.

Run as a program with DATA_DIR and SYSTEM_DIR it prints `owner URL` or `client URL` when it has started, and
`owner` when it has taken over; SIGTERM stops it in order.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from taskrpc.store.embedded import EmbeddedPostgres

DEADLINE = 30.0
# What a killed process has handed to the system is not lost, and deleting files that were synced is slow.
FAST = {"fsync": "off"}


class Participant:
    """One such process, seen from the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.role = ""
        self.url = ""

    @classmethod
    async def start(cls, data_dir: Path, system_dir: Path) -> "Participant":
        """Start a process on `data_dir` and wait until it has a server."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            data_dir,
            system_dir,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        participant = cls(process)
        participant.role, participant.url = (await participant.line()).split(" ", 1)
        return participant

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            return (await self._process.stdout.readline()).decode().strip()

    async def end(self, number: signal.Signals) -> int:
        """Send it a signal and wait for its end; answers its exit status. Nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE):
            return await self._process.wait()


async def eventually(condition: Callable[[], bool | Awaitable[bool]], seconds: float = DEADLINE) -> None:
    """Wait until `condition` holds; an error that it raises counts as "not yet"."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError, LookupError, ValueError):
                answer = condition()
                if answer if isinstance(answer, bool) else await answer:
                    return
            await asyncio.sleep(0.01)


def postmaster_of(data_dir: Path) -> int:
    """The PID that PostgreSQL has written into its data directory."""
    return int((data_dir / "postgres/cluster/postmaster.pid").read_bytes().split()[0])


def program_of(pid: int) -> Path:
    """The file that a process runs."""
    return Path(f"/proc/{pid}/exe").readlink()


def ids_of(pid: int) -> dict[str, set[str]]:
    """What the system says of a process: its numbers under `Uid`, `Gid`, `Groups`, `PPid` and more."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: set(values.split()) for name, _, values in (line.partition(":") for line in lines)}


def processes_in(directory: Path) -> list[int]:
    """The PIDs of all processes that work in `directory` or below it; zombies do not."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(directory.resolve()):
                found.append(int(entry.name))
    return found


async def _report_takeover(server: EmbeddedPostgres) -> None:
    await eventually(lambda: server.is_owner, float("inf"))
    print("owner", flush=True)


@contextlib.asynccontextmanager
async def _in_background(*works: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main(data_dir: str, system_dir: str) -> None:
    """Take part in the server of `data_dir` until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with EmbeddedPostgres(Path(data_dir), settings=FAST, system_dir=Path(system_dir)) as server:
        print("owner" if server.is_owner else "client", server.url, flush=True)
        works = [server.supervise()] if server.is_owner else [server.supervise(), _report_takeover(server)]
        async with _in_background(*works):
            await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format=f"%(relativeCreated)d {os.getpid()} %(message)s")
    asyncio.run(main(*sys.argv[1:]))
