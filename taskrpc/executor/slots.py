"""How many more tasks may be taken on, and which definitions one poll asks for together."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping


class Slots:
    """Free slots per definition. One poll at a time asks for a definition, for all of its free slots."""

    def __init__(self, concurrency: Mapping[str, int]) -> None:
        self._free = dict(concurrency)
        self._polled: set[str] = set()
        self._changed = asyncio.Event()
        self._changed.set()

    def claim_polls(self) -> list[tuple[int, list[str]]]:
        """Batch size and definitions of the polls to send now: those with as many free slots share one."""
        groups: defaultdict[int, list[str]] = defaultdict(list)
        for definition, free in self._free.items():
            if free > 0 and definition not in self._polled:
                groups[free].append(definition)
                self._polled.add(definition)
        return list(groups.items())

    def end_poll(self, definitions: Iterable[str]) -> None:
        """The poll for these definitions was answered or broke."""
        self._polled.difference_update(definitions)
        self._changed.set()

    def take(self, definition: str) -> None:
        """A task of this definition was taken on."""
        self._free[definition] -= 1

    def give_back(self, definition: str) -> None:
        """A task of this definition is over."""
        self._free[definition] += 1
        self._changed.set()

    async def changed(self) -> None:
        """Wait until there may be another poll to send."""
        await self._changed.wait()
        self._changed.clear()
