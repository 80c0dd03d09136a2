"""The scenario of one PostgreSQL, with everything that can happen to it, to servers, executors and connections."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.databases import temporary_directory
from tests.faults.nemesis import Nemesis
from tests.faults.plan import LANES
from tests.faults.recorder import Recorder
from tests.faults.run import Opened, Scenario
from tests.faults.world import OneDatabase, skipped, small_disk


@contextlib.asynccontextmanager
async def _opened(directory: Path, seed: str, recorder: Recorder, former: Path | None) -> AsyncIterator[Opened]:
    place = temporary_directory()
    try:
        with small_disk(place) as disk:
            world = OneDatabase(place, directory, seed, disk if isinstance(disk, Path) else None, former)
            try:
                await world.open()
                yield Opened(world, Nemesis(world, recorder), skipped(disk, former))
            finally:
                await world.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)


ONE_DATABASE: Final = Scenario(LANES, _opened, complete_minutes=2)
