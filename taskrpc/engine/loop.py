"""The shapes of background work: loops that do it, wait and do it again, and work that is done once.

Errors are logged, and end neither a loop nor the server.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from taskrpc.errors import TaskRpcError
from taskrpc.store.database import CommitUnknown
from taskrpc.store.recovery import CONFLICTS

log = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR: Final = 0.5


async def run_every(name: str, work: Callable[[], Awaitable[float]], poke: asyncio.Event | None = None) -> None:
    """Runs `work` for ever; it answers after how many seconds it wants to run again. `poke` makes it run at once."""
    poke = poke or asyncio.Event()
    while True:
        poke.clear()
        try:
            pause = await work()
        except (TaskRpcError, CommitUnknown, *CONFLICTS) as error:
            log.info("%s: %s", name, error)  # the database is away, which is told elsewhere, or the next time is better
            pause = _PAUSE_AFTER_ERROR
        except Exception:
            log.exception("%s failed; it goes on", name)
            pause = _PAUSE_AFTER_ERROR
        try:
            async with asyncio.timeout(pause):
                await poke.wait()
        except TimeoutError:
            pass


def spawn(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
    """Has something done once beside all else; nothing any more when the group is ended."""
    surviving = survive(work)
    try:
        group.create_task(surviving)
    except RuntimeError:
        surviving.close()
        work.close()


async def survive(work: Coroutine[Any, Any, None]) -> None:
    """Does something once, where nobody waits for it: what a failure leaves undone, a loop finds."""
    try:
        await work
    except Exception:
        log.exception("work in the background failed; the server goes on")
