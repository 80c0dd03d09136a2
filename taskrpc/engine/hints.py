"""Connects the waiting callers of this server with what other servers tell."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from taskrpc.core.model import Queue
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.engine.keys import Keys
from taskrpc.engine.results import Results
from taskrpc.store.hub import Hub


class Hints:
    """The hub's listener. Without a hub (NOTIFY switched off) nothing is told, and slow polls find everything."""

    def __init__(self, dispatcher: Dispatcher, results: Results, definitions: Definitions, keys: Keys) -> None:
        self._dispatcher = dispatcher
        self._results = results
        self._definitions = definitions
        self._keys = keys
        self.look_for_results = asyncio.Event()
        self.hub: Hub | None = None
        self.on_told: Callable[[Sequence[str]], None] = lambda ids: None

    def queued_elsewhere(self, queues: Iterable[Queue] | None) -> None:
        """Tasks became ready through another server."""
        self._dispatcher.wake(queues)

    def ended_elsewhere(self, ids: Iterable[str] | None) -> None:
        """Tasks were ended through another server."""
        if ids is None:
            self.look_for_results.set()
        else:
            self._results.ended(ids)

    def told_elsewhere(self, ids: Iterable[str]) -> None:
        """Executions were told something through another server."""
        self.on_told(list(ids))

    def definitions_changed(self) -> None:
        """Definitions were changed through another server."""
        self._definitions.outdated.set()

    def keys_changed(self) -> None:
        """Keys were made or revoked."""
        self._keys.outdated.set()

    def interests(self) -> set[str]:
        """What this server wants to be told of."""
        wanted = set()
        if self._dispatcher.waiting:
            wanted.add("queued")
        if self._results.waiting:
            wanted.add("ended")
        return wanted

    def waiting_for_tasks(self) -> None:
        """A caller begins to wait for tasks."""
        if self.hub is not None:
            self.hub.interest("queued")

    def waiting_for_end(self) -> None:
        """A caller begins to wait for the end of a task."""
        if self.hub is not None:
            self.hub.interest("ended")

    def put_definitions(self) -> None:
        """Definitions were changed through this server."""
        if self.hub is not None:
            self.hub.definitions_changed()
