"""Clients of the workload: each talks to one server at a time, and goes to another when nobody answers."""

import asyncio
import random
import time
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Protocol

from tests.faults.recorder import RecordedClient, Recorder
from tests.services import Reply

FOR_NOW: Final = frozenset({"unavailable", "outcome-unknown", "internal-error", "queue-limit-reached"})
_PAUSES: Final = (0.02, 0.3)

Address = tuple[str, str]  # a server's name and the URL of its link


class Client(Protocol):
    """A way to one server: one attempt per call, None when nobody knows what became of it."""

    async def call(self, method: str, **params: Any) -> Reply | None: ...


def over_http(recorder: Recorder, name: str, servers: Sequence[Address], at_the_end: ExitStack) -> list[Client]:
    """A client's ways to real servers, whose connections end with the stack."""
    clients: list[Client] = []
    for server, url in servers:
        client = RecordedClient(recorder, name, server, url)
        at_the_end.callback(client.hang_up)
        clients.append(client)
    return clients


class Party:
    """A client with a choice of servers, and chances that the seed decides. `wall` is the time of its clock."""

    def __init__(self, name: str, clients: Sequence[Client], seed: str, wall: Callable[[], float] = time.time) -> None:
        self.name = name
        self.chance = random.Random(f"{seed}/{name}")
        self.wall = wall
        self._clients = clients
        self._client = self.chance.choice(clients)

    def identifier(self) -> str:
        """A new id."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def time_in(self, seconds: float) -> str:
        """A time of this party's clock, as the protocol writes it."""
        return datetime.fromtimestamp(self.wall() + seconds, UTC).isoformat(timespec="milliseconds")

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    async def call(self, method: str, **params: Any) -> Reply | None:
        """One attempt; without an answer the next one goes, after a moment, perhaps to another server."""
        reply = await self._client.call(method, **params)
        if reply is None or reply.status in (503, 504, 500):
            self._client = self.chance.choice(self._clients)
            await asyncio.sleep(self.chance.uniform(*_PAUSES))
        return reply

    async def insist(self, method: str, *, attempts: int = 1000, **params: Any) -> Reply | None:
        """Repeats a call, with the same params, until it is answered for good; None when the attempts are used up."""
        for _ in range(attempts):
            reply = await self.call(method, **params)
            if reply is not None and (reply.status == 200 or reply.error["type"] not in FOR_NOW):
                return reply
        return None


class Actor(Party, ABC):
    """A party that acts now and then until the run is over, at most `per_second` times on average.

    `known` are the ids of tasks that actors have created: who meddles with tasks finds them there.
    """

    per_second: ClassVar[float]

    def __init__(self, known: deque[str], *party: Any) -> None:
        super().__init__(*party)
        self.known = known

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Acts until the run is over."""
        while not is_over():
            await asyncio.sleep(self.chance.expovariate(self.per_second))
            await self.act()

    @abstractmethod
    async def act(self) -> None:
        """What it does each time."""
