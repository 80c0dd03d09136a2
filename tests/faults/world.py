"""The parties of a run as real processes: PostgreSQL, servers, executors, and the links between them."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.databases import temporary_directory
from tests.faults.links import Link, answered, committed
from tests.faults.parties import Address
from tests.system.postgres import Postgres
from tests.system.processes import ServerProcess

SERVERS: Final = 3
EXECUTOR_PROCESSES: Final = 2
EXECUTORS_EACH: Final = 8
_STARTS: Final = 20
DISK_BYTES: Final = 1 << 30
# The disk is small: the log of transactions must not fill it by itself.
_POSTGRES: Final = {"max_wal_size": "128MB", "min_wal_size": "32MB"}
_SKEW_SECONDS: Final = 90
_FAKETIME: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)


def faketime_library() -> str | None:
    """Where libfaketime is, if it is installed (Debian: `apt-get install libfaketime`)."""
    return next((path for path in _FAKETIME if Path(path).exists()), None)


def wrong_clock(chance: random.Random) -> dict[str, str]:
    """The environment of a process whose clock is off by up to 90 s and drifts; nothing without libfaketime."""
    library = faketime_library()
    if library is None:
        return {}
    skew, drift = chance.uniform(-_SKEW_SECONDS, _SKEW_SECONDS), chance.uniform(0.97, 1.03)
    only_the_wall_clock = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": library, "FAKETIME": f"{skew:+.0f}s x{drift:.3f}", **only_the_wall_clock}


class Server:
    """One server behind its links. It keeps its name and its address while processes come and go."""

    def __init__(self, name: str, log: Path, socket_dir: Path, database_socket: Path, chance: random.Random) -> None:
        self.name = name
        self.front = Link(None, answered)
        self.back = Link(database_socket, committed)
        self.url = ""
        self.turn = asyncio.Lock()  # one fault of a server at a time
        self._log = log
        self._socket_dir = socket_dir
        self._chance = chance
        self._process: ServerProcess | None = None

    async def open(self, database_url: str) -> None:
        """Makes the links, which stay for the whole run."""
        self._socket_dir.mkdir()
        await self.back.listen(self._socket_dir / ".s.PGSQL.5432")
        self.url = await self.front.listen()
        self._database_url = f"{database_url.partition('?')[0]}?host={self._socket_dir}&port=5432"

    async def start(self) -> None:
        """Starts a process and waits until it is ready. One that gives up, since the database is away, is started
        again."""
        for _ in range(_STARTS):
            clock = wrong_clock(self._chance)
            self._process = await ServerProcess.spawn(self._log, "--database-url", self._database_url, **clock)
            with contextlib.suppress(AssertionError, TimeoutError):
                await self._process.ready(60)
                self._serve(self._process.url)
                return
            await self._process.kill()
        raise RuntimeError(f"{self.name} does not start; its log ends with: {self.log[-2000:]}")

    def _serve(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.front.upstream = (host, int(port))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        assert self._process is not None
        self._process.signal(number)

    async def ended(self) -> None:
        """Waits for the process's end; kills it when it does not come."""
        assert self._process is not None
        self.front.upstream = None  # its port may be somebody else's soon
        try:
            await self._process.ended(30)
        except TimeoutError:
            await self._process.kill()

    async def close(self) -> None:
        """Ends everything."""
        if self._process is not None:
            await self._process.kill()
        await self.front.close()
        await self.back.close()

    @property
    def log(self) -> str:
        return self._log.read_text()


class Executors:
    """A process with executors; each that is started anew has names of its own."""

    def __init__(self, name: str, directory: Path, servers: list[Address], seed: str) -> None:
        self.name = name
        self.turn = asyncio.Lock()
        self._directory = directory
        self._servers = servers
        self._seed = seed
        self._chance = random.Random(f"{seed}/{name}")
        self._starts = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts a process."""
        name = f"{self.name}.{self._starts}"
        self._starts += 1
        arguments = ["--file", str(self._directory / f"{name}.jsonl"), "--name", name, "--seed", self._seed]
        arguments += ["--count", str(EXECUTORS_EACH)]
        arguments += [part for server, url in self._servers for part in ("--server", f"{server}={url}")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **wrong_clock(self._chance)}
        with (self._directory / f"{name}.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.executors", *arguments, env=environment, stdout=log, stderr=log
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process has ended."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            await self._process.wait()


class World:
    """Everything that takes part."""

    def __init__(self, place: Path, directory: Path, seed: str, disk: Path | None) -> None:
        self.disk = disk
        self.postgres = Postgres((disk or place) / "data", **_POSTGRES)
        self.database_turn = asyncio.Lock()
        self.directory = directory
        self.servers: list[Server] = []
        self.executors: list[Executors] = []
        self._place = place
        self._seed = seed

    async def open(self) -> None:
        """Starts everything but the executors, which wait for definitions."""
        await self.postgres.start()
        for n in range(SERVERS):
            name = f"server-{n}"
            chance = random.Random(f"{self._seed}/{name}")
            log = self.directory / f"{name}.log"
            server = Server(name, log, self._place / name, self.postgres.socket, chance)
            self.servers.append(server)
            await server.open(self.postgres.url)
        await asyncio.gather(*(server.start() for server in self.servers))
        self.executors = [
            Executors(f"executors-{n}", self.directory, self.addresses, self._seed) for n in range(EXECUTOR_PROCESSES)
        ]

    @property
    def addresses(self) -> list[Address]:
        """The servers' names and the addresses of their links."""
        return [(server.name, server.url) for server in self.servers]

    async def close(self) -> None:
        """Ends everything, whatever state it is in."""
        for executors in self.executors:
            await executors.kill()
        for server in self.servers:
            await server.close()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            await self.postgres.stop()


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path | str]:
    """A tmpfs for the length of the block; or, where mounts are not permitted, why there is none."""
    disk = place / "disk"
    disk.mkdir(mode=0o711)
    options = f"size={DISK_BYTES},mode=0711"
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as refused:
        said = refused.stderr.decode().strip() if isinstance(refused, subprocess.CalledProcessError) else str(refused)
        yield f"mounting a tmpfs is not permitted: {said}"
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def skipped(disk: Path | str) -> Mapping[str, str]:
    """Faults that cannot be done on this machine, or not yet, and why."""
    reasons = {"other-version": "there is no former release to restart to"}
    if isinstance(disk, str):
        reasons["fill-disk"] = disk
    if faketime_library() is None:
        reasons["wrong-clocks"] = "libfaketime is not installed (Debian: apt-get install libfaketime)"
    return reasons


@contextlib.asynccontextmanager
async def opened(directory: Path, seed: str) -> AsyncIterator[tuple[World, Mapping[str, str]]]:
    """A world for the length of the block, which writes to `directory`; and the faults that are not possible in it."""
    place = temporary_directory()
    try:
        with small_disk(place) as disk:
            world = World(place, directory, seed, disk if isinstance(disk, Path) else None)
            try:
                await world.open()
                yield world, skipped(disk)
            finally:
                await world.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)
