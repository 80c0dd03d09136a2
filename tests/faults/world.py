"""Everything that takes part in a run, and its end: servers, executors, PostgreSQL, the links between them."""

import abc
import asyncio
import contextlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.faults.links import Link, committed
from tests.faults.parties import Address
from tests.faults.processes import Executors, Server, faketime_library
from tests.system.postgres import Postgres

SERVERS: Final = 3
EXECUTOR_PROCESSES: Final = 2
DISK_BYTES: Final = 1 << 30
# The disk is small: the log of transactions must not fill it by itself.
_POSTGRES: Final = {"max_wal_size": "128MB", "min_wal_size": "32MB"}


class World(abc.ABC):
    """Servers and executors, on whatever database. `place` is for its files, `directory` for what is to be kept.

    With a checkout of a `former` version all servers begin as that one, and so does the schema of the database.
    """

    def __init__(self, place: Path, directory: Path, seed: str, former: Path | None = None) -> None:
        self.place = place
        self.directory = directory
        self.former = former
        self.servers: list[Server] = []
        self.executors: list[Executors] = []
        self._seed = seed

    @abc.abstractmethod
    async def open_database(self) -> None:
        """Starts the database."""

    @abc.abstractmethod
    async def database_url(self, server: str) -> str:
        """Where a server finds it."""

    @abc.abstractmethod
    async def close_database(self) -> None:
        """Ends it, whatever state it is in."""

    async def open(self) -> None:
        """Starts everything but the executors, which wait for definitions."""
        await self.open_database()
        for n in range(SERVERS):
            name = f"server-{n}"
            server = Server(name, self.directory / f"{name}.log", random.Random(f"{self._seed}/{name}"))
            server.checkout = self.former
            self.servers.append(server)
            await server.open(await self.database_url(name))
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
        await self.close_database()


class OneDatabase(World):
    """A world with one PostgreSQL, which every server reaches over a link of its own."""

    def __init__(self, place: Path, directory: Path, seed: str, disk: Path | None, former: Path | None = None) -> None:
        super().__init__(place, directory, seed, former)
        self.disk = disk
        self.postgres = Postgres((disk or place) / "data", **_POSTGRES)
        self.database_turn = asyncio.Lock()
        self.backs: dict[str, Link] = {}

    async def open_database(self) -> None:
        await self.postgres.start()

    async def database_url(self, server: str) -> str:
        directory, back = self.place / server, Link(self.postgres.socket, committed)
        directory.mkdir()
        await back.listen(directory / ".s.PGSQL.5432")
        self.backs[server] = back
        return f"{self.postgres.url.partition('?')[0]}?host={directory}&port=5432"

    async def close_database(self) -> None:
        for back in self.backs.values():
            await back.close()
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


def skipped(disk: Path | str, former: Path | None) -> Mapping[str, str]:
    """Faults that cannot be done on this machine, or with what was given, and why."""
    reasons = {}
    if former is None:
        reasons["other-version"] = "no checkout of a former version was given (--former)"
    if isinstance(disk, str):
        reasons["fill-disk"] = disk
    if faketime_library() is None:
        reasons["wrong-clocks"] = "libfaketime is not installed (Debian: apt-get install libfaketime)"
    return reasons
