"""How many more tasks may be taken on, and which queues one poll asks for together."""

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

Queue = TypeVar("Queue", bound=Hashable)


class Slots(Generic[Queue]):
    """Free slots per queue. One poll at a time asks for a queue, for all of its free slots."""

    def __init__(self, concurrency: Mapping[Queue, int]) -> None:
        self._free = dict(concurrency)
        self._polled: set[Queue] = set()
        self._changed = asyncio.Event()
        self._changed.set()

    def claim_polls(self) -> list[tuple[int, list[Queue]]]:
        """Batch size and queues of the polls to send now: those with as many free slots share one."""
        groups: defaultdict[int, list[Queue]] = defaultdict(list)
        for queue, free in self._free.items():
            if free > 0 and queue not in self._polled:
                groups[free].append(queue)
                self._polled.add(queue)
        return list(groups.items())

    def end_poll(self, queues: Iterable[Queue]) -> None:
        """The poll for these queues was answered or broke."""
        self._polled.difference_update(queues)
        self._changed.set()

    def take(self, queue: Queue) -> None:
        """A task of this queue was taken on."""
        self._free[queue] -= 1

    def give_back(self, queue: Queue) -> None:
        """A task of this queue is over."""
        self._free[queue] += 1
        self._changed.set()

    async def changed(self) -> None:
        """Wait until there may be another poll to send."""
        await self._changed.wait()
        self._changed.clear()
