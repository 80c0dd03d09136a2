"""Signals to commands."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def on_signals(react: Callable[[], object], *numbers: signal.Signals) -> None:
    """Has the running loop call `react` whenever one of these signals comes."""
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, react)


async def until_signal(work: Coroutine[Any, Any, Result]) -> Result | None:
    """What `work` answers; None where SIGTERM or SIGINT has cancelled it."""
    task = asyncio.create_task(work)
    on_signals(task.cancel, signal.SIGTERM, signal.SIGINT)
    try:
        return await task
    except asyncio.CancelledError:
        return None
