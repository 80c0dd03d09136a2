"""`python -m tests.faults.ha`: the workload of `tests.faults` on three PostgreSQL nodes under Patroni, whose primary is
killed, frozen and replaced.

It takes etcd (Debian: etcd-server) and Patroni (pip install -e '.[ha]'). Exit status 1: a rule is violated.
"""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.databases import temporary_directory
from tests.faults.command import command
from tests.faults.ha.cluster import Cluster, missing
from tests.faults.ha.nemesis import NodeNemesis
from tests.faults.plan import Lane
from tests.faults.recorder import Recorder
from tests.faults.run import Opened, Scenario
from tests.faults.world import World

LANES: Final = {"nodes": Lane((40.0, 45.0), ("kill-primary", "freeze-primary", "kill-standby", "switch-over"))}


class ManyNodes(World):
    """A world whose PostgreSQL is a cluster."""

    def __init__(self, place: Path, directory: Path, seed: str, former: Path | None) -> None:
        super().__init__(place, directory, seed, former)
        self.cluster = Cluster(place, directory)

    async def open_database(self) -> None:
        await self.cluster.open()

    async def database_url(self, server: str) -> str:
        return self.cluster.database_url

    async def close_database(self) -> None:
        await self.cluster.close()


@contextlib.asynccontextmanager
async def _opened(directory: Path, seed: str, recorder: Recorder, former: Path | None) -> AsyncIterator[Opened]:
    place = temporary_directory()
    world = ManyNodes(place, directory, seed, former)
    try:
        await world.open()
        yield Opened(world, NodeNemesis(world.cluster, recorder), {})
    finally:
        await world.close()
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    if lack := missing():
        print(lack, file=sys.stderr)
        return 2
    return command(Scenario(LANES, _opened), "python -m tests.faults.ha", __doc__)


if __name__ == "__main__":
    sys.exit(main())
