"""What commits mean for those who wait: told after each commit, on this server at once and to others as a hint."""

from collections.abc import Callable, Sequence
from typing import Any

from taskrpc.store.gates import Queue

OnQueued = Callable[[Sequence[Queue]], None]
OnEnded = Callable[[Sequence[str]], None]
OnDue = Callable[[float], None]


class Signals:
    """The one function through which everything passes that can make a task ready, or ends one."""

    def __init__(self) -> None:
        self._on_queued: list[OnQueued] = []
        self._on_ended: list[OnEnded] = []
        self._on_due: list[OnDue] = []

    def subscribe(self, on_queued: OnQueued, on_ended: OnEnded) -> None:
        """Has the queues that got tasks, and the ids of tasks that are done, told from now on."""
        self._on_queued.append(on_queued)
        self._on_ended.append(on_ended)

    def subscribe_due(self, on_due: OnDue) -> None:
        """Has it told in how many seconds, by the database's clock, a task that waits will be due."""
        self._on_due.append(on_due)

    def queued(self, queues: Sequence[Queue]) -> None:
        """Tasks of these queues may be claimed now."""
        if queues:
            for react in self._on_queued:
                react(queues)

    def ended(self, ids: Sequence[str]) -> None:
        """These tasks are done now."""
        if ids:
            for react in self._on_ended:
                react(ids)

    def changed(self, rows: Sequence[Any]) -> None:
        """Tells what changed rows of the table task mean."""
        self.queued([(row["kind"], row["name"]) for row in rows if row["queued"]])
        self.ended([row["id"] for row in rows if row["status"] == "done"])
        waits = [row["wake_at"] - row["updated_at"] for row in rows if row["status"] == "waiting"]
        if waits:
            for react in self._on_due:
                react(min(waits).total_seconds())
