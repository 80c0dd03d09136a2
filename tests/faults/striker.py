"""What carries out a plan of faults, and writes down when each began and when its party was back."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from tests.faults.links import Link
from tests.faults.plan import Strike
from tests.faults.recorder import Recorder

Strikes = Mapping[str, Callable[[Strike], Awaitable[None]]]


class Striker:
    """The strikes of one run. `strikes` tells how each fault is done."""

    strikes: Strikes

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._numbers = itertools.count(1)

    async def run(self, lanes: Mapping[str, Sequence[Strike]], done: Callable[[], None]) -> None:
        """Carries out all lanes beside each other, and calls `done` after each strike; ends when everybody is back."""
        begin = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for strikes in lanes.values():
                group.create_task(self._run_lane(strikes, begin, done))

    async def _run_lane(self, strikes: Sequence[Strike], begin: float, done: Callable[[], None]) -> None:
        for strike in strikes:
            await asyncio.sleep(max(begin + strike.at - asyncio.get_running_loop().time(), 0))
            await self.strikes[strike.name](strike)
            done()

    @contextlib.asynccontextmanager
    async def recorded(self, strike: Strike, target: str, link: Link | None = None) -> AsyncIterator[None]:
        """The span of a fault: it begins now, and whoever it is done to is back at the end of the block."""
        number, before = next(self._numbers), link.swallowed if link is not None else 0
        self._recorder.write("fault", number=number, fault=strike.name, target=target)
        yield
        hits = {"hits": link.swallowed - before} if link is not None else {}
        self._recorder.write("healed", number=number, **hits)
