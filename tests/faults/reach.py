"""Whom a fault reaches: what it may keep from an answer, and from being done in time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from math import inf
from typing import Final

from tests.faults.windows import Window, common, merged

# A server or its way to the database stops in the middle of a transaction; until that ends, its locks hold back others.
_STOP_AMID: Final = frozenset({"freeze-server", "delay", "trickle", "deaf"})
_OF_CLIENTS: Final = ("clients/", "executors")


@dataclass(slots=True)
class Fault:
    """Something that was done to a party. `healed` is when it had come back, `hits` how many answers it dropped."""

    number: int
    name: str
    target: str
    began: float
    healed: float = inf
    hits: int = 0

    @property
    def window(self) -> Window:
        return (self.began, self.healed)


class Reach:
    """The faults of a run, and when the machine gave no processor to the tests, by whom they may have disturbed.

    A target is a server, `executors-N`, a way (`clients/SERVER`, `SERVER/postgres`), or else the database: PostgreSQL
    or a node of its cluster.
    """

    def __init__(self, faults: Sequence[Fault], stalls: Sequence[Window], servers: Sequence[str]) -> None:
        self._stalls = stalls
        self._servers = servers
        self._at: defaultdict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            self._at[fault.target].append(fault)
        own = {*servers, *(f"{server}/postgres" for server in servers)}
        self._of_the_database = [
            fault for fault in faults if fault.target not in own and not fault.target.startswith(_OF_CLIENTS)
        ]
        self.disturbances = cache(self._disturbances)
        self.outages_of = cache(self._outages_of)

    def between(self, client: str, server: str) -> list[Fault]:
        """Those that may have kept a call from its answer: of its client, of its server, of the way between the two, of
        the server's way to the database, and of the database. Executors carry the name of their process and a dot."""
        return [*self._at[client.partition(".")[0]], *self._at[f"clients/{server}"], *self._behind(server)]

    def _disturbances(self, client: str, server: str) -> list[Window]:
        """When anything may have kept this client's calls of this server from their answers."""
        return merged([*(fault.window for fault in self.between(client, server)), *self._stalls])

    def _outages_of(self, server: str) -> list[Window]:
        """When a server could not do its work: it was disturbed itself, its way to the database, the database, or the
        whole machine."""
        return merged([*(fault.window for fault in self._behind(server)), *self._stalls])

    @cached_property
    def outages(self) -> list[Window]:
        """When no server could do its work: each was disturbed, or one of them held locks and did not go on."""
        first, *others = self._servers or ("",)
        everywhere = reduce(common, map(self.outages_of, others), self.outages_of(first))
        stopped = [each for server in self._servers for each in self._behind(server) if each.name in _STOP_AMID]
        return merged([*everywhere, *(fault.window for fault in stopped)])

    def _behind(self, server: str) -> list[Fault]:
        return [*self._at[server], *self._at[f"{server}/postgres"], *self._of_the_database]
