"""An event loop without time: when nobody has anything to do, the clock jumps to whoever waits for it next.

So whole minutes pass in milliseconds, and a run depends on nothing but its seed.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class NothingWillHappen(Exception):
    """Everybody waits for somebody else."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Time is what its timers ask for; there are no sockets, signals or threads."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> tuple[()]:
        """In the place of waiting for sockets; `timeout` is when the next timer is due."""
        if timeout is None:
            raise NothingWillHappen
        self._now += timeout
        return ()

    def _process_events(self, events: object) -> None:
        pass


def run_virtually(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine to its end, and cancels what it left behind."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
