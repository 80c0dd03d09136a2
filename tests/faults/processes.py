"""The processes of a run: servers behind their links, and executors. They keep their names while processes come and
go."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.links import Link, answered
from tests.faults.parties import Address
from tests.system.processes import ServerProcess, code_of

_STARTS: Final = 20
EXECUTORS_EACH: Final = 8
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

    def __init__(self, name: str, log: Path, chance: random.Random) -> None:
        self.name = name
        self.front = Link(None, answered)
        self.url = ""
        self.turn = asyncio.Lock()  # one fault of a server at a time
        self.checkout: Path | None = None  # whose code it runs, if not this one's
        self._log = log
        self._chance = chance
        self._database_url = ""
        self._process: ServerProcess | None = None

    async def open(self, database_url: str) -> None:
        """Makes the link to its clients, which stays for the whole run."""
        self.url = await self.front.listen()
        self._database_url = database_url

    async def start(self) -> None:
        """Starts a process and waits until it is ready. One that gives up, since the database is away, is started
        again."""
        for _ in range(_STARTS):
            environment = wrong_clock(self._chance)
            if self.checkout is not None:
                environment |= code_of(self.checkout)
            self._process = await ServerProcess.spawn(self._log, "--database-url", self._database_url, **environment)
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

    @property
    def log(self) -> str:
        return self._log.read_text()


class Executors:
    """A process with executors; each that is started anew has names of its own."""

    def __init__(self, name: str, directory: Path, servers: Sequence[Address], seed: str) -> None:
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
