"""What can be done to the parties of a run with one database."""

import asyncio
import contextlib
import itertools
import os
import signal
from pathlib import Path
from typing import Final

from tests.databases import connected
from tests.faults.links import CLEAR, Link, Weather
from tests.faults.plan import Strike
from tests.faults.processes import Executors, Server
from tests.faults.recorder import Recorder
from tests.faults.striker import Striker
from tests.faults.world import OneDatabase
from tests.system.postgres import IMMEDIATE, KILL

_CUT: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' and {which}
"""
_RANDOM: Final = "random() < 0.6"
_LISTENERS: Final = "application_name <> 'taskrpc'"
_HOLD: Final = "select id from taskrpc.task where status <> 'done' order by random() limit 30 for update skip locked"


class Nemesis(Striker):
    """The strikes of a run with one database."""

    def __init__(self, world: OneDatabase, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._world = world
        self.strikes = {
            "kill-server": self._kill_server,
            "freeze-server": self._freeze_server,
            "restart-server": self._restart_server,
            "other-version": self._other_version,
            "kill-executors": self._kill_executors,
            "freeze-executors": self._freeze_executors,
            "kill-postgres": lambda strike: self._stop_postgres(strike, KILL),
            "stop-postgres": lambda strike: self._stop_postgres(strike, IMMEDIATE),
            "freeze-postgres": self._freeze_postgres,
            "cut-connections": lambda strike: self._cut(strike, _RANDOM),
            "cut-listeners": lambda strike: self._cut(strike, _LISTENERS),
            "hold-locks": self._hold_locks,
            "fill-disk": self._fill_disk,
            "delay": lambda strike: self._bad_weather(strike, Weather(delay=0.2)),
            "trickle": lambda strike: self._bad_weather(strike, Weather(trickle=16)),
            "deaf": lambda strike: self._bad_weather(strike, Weather(deaf=True)),
            "cut": lambda strike: self._cut_link(strike, reset=False),
            "reset": lambda strike: self._cut_link(strike, reset=True),
            "drop-commits": self._drop_commits,
            "drop-answers": self._drop_answers,
        }

    def _server(self, strike: Strike) -> Server:
        """The server that is meant; another one if something is being done to that already."""
        servers = self._world.servers
        order = [servers[(strike.party + n) % len(servers)] for n in range(len(servers))]
        return next((server for server in order if not server.turn.locked()), order[0])

    def _executors(self, strike: Strike) -> Executors:
        return self._world.executors[strike.party % len(self._world.executors)]

    async def _kill_server(self, strike: Strike) -> None:
        server = self._server(strike)
        async with server.turn, self.recorded(strike, server.name):
            server.signal(signal.SIGKILL)
            await server.ended()
            await server.start()

    async def _freeze_server(self, strike: Strike) -> None:
        server = self._server(strike)
        async with server.turn, self.recorded(strike, server.name):
            server.signal(signal.SIGSTOP)
            await asyncio.sleep(strike.seconds)
            server.signal(signal.SIGCONT)

    async def _restart_server(self, strike: Strike) -> None:
        """As a deployment does it: the server answers who waits, and ends."""
        server = self._server(strike)
        async with server.turn, self.recorded(strike, server.name):
            server.signal(signal.SIGTERM)
            await server.ended()
            await server.start()

    async def _other_version(self, strike: Strike) -> None:
        """As a deployment does it that renews the servers one by one, and thinks better of it."""
        server = self._server(strike)
        async with server.turn, self.recorded(strike, server.name):
            server.signal(signal.SIGTERM)
            await server.ended()
            server.checkout = None if server.checkout else self._world.former
            await server.start()

    async def _kill_executors(self, strike: Strike) -> None:
        executors = self._executors(strike)
        async with executors.turn, self.recorded(strike, executors.name):
            await executors.kill()
            await executors.start()

    async def _freeze_executors(self, strike: Strike) -> None:
        executors = self._executors(strike)
        async with executors.turn, self.recorded(strike, executors.name):
            executors.signal(signal.SIGSTOP)
            await asyncio.sleep(strike.seconds)
            executors.signal(signal.SIGCONT)

    async def _stop_postgres(self, strike: Strike, number: signal.Signals) -> None:
        async with self._world.database_turn, self.recorded(strike, "postgres"):
            await self._world.postgres.stop(number)
            await self._world.postgres.start()

    async def _freeze_postgres(self, strike: Strike) -> None:
        async with self._world.database_turn, self.recorded(strike, "postgres"):
            with self._world.postgres.frozen():
                await asyncio.sleep(strike.seconds)

    async def _cut(self, strike: Strike, which: str) -> None:
        world = self._world
        async with world.database_turn, self.recorded(strike, "postgres"), connected(world.postgres.url) as connection:
            await connection.execute(_CUT.format(which=which))

    async def _hold_locks(self, strike: Strike) -> None:
        """Somebody begins a transaction, locks tasks, and goes for lunch."""
        world = self._world
        async with world.database_turn, self.recorded(strike, "postgres"), connected(world.postgres.url) as connection:
            await connection.execute(f"begin; {_HOLD}")
            await asyncio.sleep(strike.seconds)
            await connection.execute("rollback")

    async def _fill_disk(self, strike: Strike) -> None:
        assert self._world.disk is not None
        ballast = self._world.disk / "ballast"
        async with self._world.database_turn, self.recorded(strike, "postgres"):
            _fill(ballast)
            await asyncio.sleep(min(strike.seconds, 3.0))
            ballast.unlink()
            await self._world.postgres.revive()

    def _link(self, strike: Strike) -> tuple[Link, str]:
        server = self._world.servers[strike.party % len(self._world.servers)]
        is_front = strike.party // len(self._world.servers) % 2 == 0
        return (
            (server.front, f"clients/{server.name}")
            if is_front
            else (self._world.backs[server.name], f"{server.name}/postgres")
        )

    async def _bad_weather(self, strike: Strike, weather: Weather) -> None:
        link, target = self._link(strike)
        async with self.recorded(strike, target):
            link.weather = weather
            await asyncio.sleep(strike.seconds)
            link.weather = CLEAR
            if weather.deaf:  # what was not heard is lost
                link.cut()

    async def _cut_link(self, strike: Strike, *, reset: bool) -> None:
        link, target = self._link(strike)
        async with self.recorded(strike, target):
            link.cut(reset=reset)

    async def _drop_commits(self, strike: Strike) -> None:
        """A server never hears that PostgreSQL has committed its work."""
        server = self._world.servers[strike.party % len(self._world.servers)]
        await self._swallow(strike, self._world.backs[server.name], f"{server.name}/postgres")

    async def _drop_answers(self, strike: Strike) -> None:
        """A client never hears that its server has done what it wanted."""
        server = self._world.servers[strike.party % len(self._world.servers)]
        await self._swallow(strike, server.front, f"clients/{server.name}")

    async def _swallow(self, strike: Strike, link: Link, target: str) -> None:
        async with self.recorded(strike, target, link):
            link.weather = Weather(swallow=1 + strike.party % 5)
            await asyncio.sleep(min(strike.seconds, 2.0))
            link.weather = CLEAR


def _fill(ballast: Path) -> None:
    """Takes all the space that there is."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (2**20, 4096):
            with contextlib.suppress(OSError):
                for at in itertools.count(os.fstat(descriptor).st_size, size):
                    os.posix_fallocate(descriptor, at, size)
    finally:
        os.close(descriptor)
