"""The reaper: ends what timed out, promotes what is due, on every server, woken at the next deadline."""

import asyncio
from typing import Final

from taskrpc.engine.loop import run_every
from taskrpc.store.reaping import MOST_ROWS, Reaping

LONGEST_PAUSE_SECONDS: Final = 1.0
# What is due but was not touched has become due this moment, or is locked by somebody: it is tried again almost at
# once, and then after longer and longer pauses.
SHORTEST_PAUSE_SECONDS: Final = 0.001
LOCKED_PAUSE_SECONDS: Final = 0.05
_ROUNDS_BETWEEN_SWEEPS: Final = 10


class Reaper:
    """Beats, reaps, sleeps until something is due, at most LONGEST_PAUSE_SECONDS."""

    def __init__(self, reaping: Reaping) -> None:
        self._reaping = reaping
        self._poke = asyncio.Event()
        self._rounds = 0
        self._next_at = 0.0
        self._locked_pause = SHORTEST_PAUSE_SECONDS

    def poke(self) -> None:
        """Makes it look now: the clock was moved, or the database is back."""
        self._poke.set()

    def due_in(self, seconds: float) -> None:
        """A task will be due in so many seconds: looks again if that is sooner than it would."""
        if asyncio.get_running_loop().time() + seconds < self._next_at:
            self._poke.set()

    async def run(self) -> None:
        """Runs for ever."""
        await run_every("reaper", self._round, self._poke)

    async def _round(self) -> float:
        self._next_at = 0.0
        await self._reaping.beat()
        touched = await self._reaping.reap()
        if self._rounds % _ROUNDS_BETWEEN_SWEEPS == 0:
            await self._reaping.admit_stranded()
        self._rounds += 1
        pause = 0.0 if touched >= MOST_ROWS else await self._pause(touched)
        self._next_at = asyncio.get_running_loop().time() + pause
        return pause

    async def _pause(self, touched: int) -> float:
        seconds = await self._reaping.seconds_until_due()
        if seconds is not None and seconds <= 0 and not touched:
            pause, self._locked_pause = self._locked_pause, min(self._locked_pause * 2, LOCKED_PAUSE_SECONDS)
            return pause
        self._locked_pause = SHORTEST_PAUSE_SECONDS
        if seconds is None:
            return LONGEST_PAUSE_SECONDS
        return min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
