"""One simulation: the workload's own clients and executors on simulated servers, for some virtual seconds."""

import asyncio
import random
from collections import deque
from typing import Any, Final

from taskrpc.core.definition import DefinitionSpec
from taskrpc.errors import TaskRpcError
from tests.faults.checker.liveness import PROBE
from tests.faults.definitions import DEFINITIONS
from tests.faults.executors import Executor
from tests.faults.history import OPEN_ENDED, History, Record, history_of
from tests.faults.parties import Client
from tests.faults.simulation.clock import run_virtually
from tests.faults.simulation.server import SimulatedServer
from tests.faults.simulation.store import Store
from tests.faults.workload import Creator, User
from tests.services import Reply

SERVERS: Final = 2
EXECUTORS: Final = 3
SECONDS: Final = 12.0
_DRAIN_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 10.0
_UNLIMITED: Final = {
    name: {key: value for key, value in fields.items() if not key.startswith("concurrency")}
    for name, fields in DEFINITIONS.items()
}


class Records:
    """A history in memory, with the virtual time."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, "at": asyncio.get_running_loop().time(), **fields})


class SimulatedClient:
    """A way to one server on which requests and answers get lost."""

    def __init__(self, records: Records, name: str, server: SimulatedServer, chance: random.Random) -> None:
        self._records = records
        self._name = name
        self._server = server
        self._chance = chance
        self._count = 0

    async def call(self, method: str, **params: Any) -> Reply | None:
        """One attempt."""
        self._count += 1
        op = f"{self._name}@{self._server.name}:{self._count}"
        shown = {"client": self._name, "server": self._server.name, "method": method, "params": params}
        self._records.write("invoke", op=op, **shown)
        waits = params.get("timeout", 0) / 1000
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS + waits):
                reply = await self._exchange(method, params)
        except (TimeoutError, ConnectionError) as broken:
            self._records.write("info", op=op, why=type(broken).__name__)
            return None
        if reply.status == 200:
            self._records.write("ok", op=op, answer=reply.result)
        else:
            self._records.write("info" if reply.error["type"] in OPEN_ENDED else "fail", op=op, error=reply.error)
        return reply

    async def _exchange(self, method: str, params: dict[str, Any]) -> Reply:
        await self._travel()
        try:
            result = await self._server.serve(method, params)
        except TaskRpcError as refusal:
            reply = Reply(refusal.http_status, {}, {"error": refusal.to_wire()})
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # it is this client that gives up, and not the server that was killed
            raise ConnectionResetError from None
        else:
            reply = Reply(200, {}, {"result": result})
        await self._travel()
        return reply

    async def _travel(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.01))
        if self._chance.random() < self._server.breaks / 2:
            raise ConnectionResetError


class Simulation:
    """What one seed decides."""

    def __init__(self, seed: int, store: type[Store] = Store) -> None:
        self.records = Records()
        self._seed = str(seed)
        self._chance = random.Random(seed)
        specs = {name: DefinitionSpec.model_validate(fields) for name, fields in _UNLIMITED.items()}
        self._store = store(specs, self._chance, self._now)
        breaks = self._chance.choice((0.0, 0.02, 0.1, 0.3))
        self._servers = [
            SimulatedServer(f"server-{n}", self._store, self.records, self._chance, breaks) for n in range(SERVERS)
        ]

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def history(self) -> History:
        """Runs it; the history of it."""
        run_virtually(self._run())
        return history_of(self.everything())

    def everything(self) -> list[Record]:
        """The lines of the history, once it has run."""
        there = [{"kind": "resource", "resource": row.resource()} for row in self._store.rows.values()]
        logged = [{"kind": "transition", "resource": entry} for entry in self._store.log]
        return [*self.records.records, *there, *logged]

    def _clients(self, name: str) -> list[Client]:
        return [SimulatedClient(self.records, name, server, self._chance) for server in self._servers]

    async def _run(self) -> None:
        servers = [server.name for server in self._servers]
        head = {"seed": self._seed, "definitions": _UNLIMITED, "servers": servers, "wall": self._now()}
        self.records.write("run", **head)
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(server.look_after_things()) for server in self._servers]
            loops += [group.create_task(self._executor(n).run()) for n in range(EXECUTORS)]
            striking = group.create_task(self._strike())
            await self._work()
            await striking
            await self._come_to_rest()
            for loop in loops:
                loop.cancel()

    def _executor(self, n: int) -> Executor:
        return Executor(f"executor-{n}", self._clients(f"executor-{n}"), self._seed, self._now)

    async def _work(self) -> None:
        known: deque[str] = deque(maxlen=10)
        async with asyncio.TaskGroup() as group:
            for party in (Creator, User):
                name = party.__name__.lower()
                member = party(known, name, self._clients(name), self._seed, self._now)
                group.create_task(member.run(lambda: self._now() > SECONDS))

    async def _strike(self) -> None:
        """Kills servers now and then; another process takes over at once."""
        while self._now() < SECONDS:
            await asyncio.sleep(self._chance.uniform(0.5, 6))
            if self._servers[0].breaks:
                self._chance.choice(self._servers).kill()

    async def _come_to_rest(self) -> None:
        for server in self._servers:
            server.breaks = 0.0
        self.records.write("mark", name="faults-over")
        for client in self._clients(PROBE):
            await client.call("awf.task/poll", taskDefinitions=["none"])
        deadline = self._now() + 2 * _DRAIN_SECONDS
        while self._now() < deadline:
            if all(row.status == "done" for row in self._store.rows.values()):
                self.records.write("mark", name="drained")
                return
            await asyncio.sleep(0.5)
