"""Waiting for what a test expects: a condition is looked at until it holds or a deadline has passed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

DEADLINE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.005
_SLACK: Final = 2


def promised(seconds: float) -> float:
    """How long what is promised for an idle machine may take on one that runs other tests as well."""
    return _SLACK * seconds


async def until(condition: Callable[[], Awaitable[T | None]], seconds: float = DEADLINE_SECONDS) -> T:
    """The first true answer of `condition`; raises TimeoutError when there was none in so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if answer := await condition():
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._began
