"""What a running task has to tell the service, in order, one message at a time."""

import asyncio
from collections import deque
from dataclasses import dataclass

from taskrpc.core.json_text import JsonText


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The task is alive; `message` goes to its log."""

    message: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the task is."""

    current: int
    total: int | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class Feedback:
    """Information for others to read while the task runs."""

    value: JsonText
    append: bool


Notice = Heartbeat | Progress | Feedback


class Outbox:
    """Notices in the order of their `put`; a progress still waiting gives way to a newer one.

    Belongs to one event loop: other threads put by way of `call_soon_threadsafe`.
    """

    def __init__(self) -> None:
        self._waiting: deque[Notice] = deque()
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, notice: Notice) -> None:
        """Add a notice; nothing happens once the outbox is closed."""
        if self._closed.is_set():
            return
        if isinstance(notice, Progress):
            self._waiting = deque(waiting for waiting in self._waiting if not isinstance(waiting, Progress))
        self._waiting.append(notice)
        self._changed.set()

    def close(self) -> None:
        """The task is over: what still waits is the rest."""
        self._closed.set()
        self._changed.set()

    async def next(self, heartbeat_at: float) -> Notice | None:
        """The next notice, or a heartbeat once the loop's clock has reached `heartbeat_at`.

        None after the last one.
        """
        try:
            async with asyncio.timeout_at(heartbeat_at):
                await self._changed.wait()
        except TimeoutError:
            return Heartbeat()
        if asyncio.get_running_loop().time() >= heartbeat_at and not self._closed.is_set():
            return Heartbeat()
        notice = self._waiting.popleft() if self._waiting else None
        if not self._waiting and not self._closed.is_set():
            self._changed.clear()
        return notice

    async def closed_within(self, seconds: float) -> None:
        """Return when the outbox is closed, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            pass
