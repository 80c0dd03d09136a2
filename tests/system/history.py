"""The log of a task, replayed against the life cycle: what happened has to be possible, and to add up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from taskrpc.core.lifecycle import EDGES

_EVENTS = {"create-and-execute": "create"}


@dataclass(slots=True)
class History:
    """What a task's log tells."""

    status: str = "created"
    attempts: int = 0  # executions started in the present generation, without those that were handed back
    most_attempts: int = 0  # in any generation
    creations: int = 0
    successes: list[str] = field(default_factory=list)  # execIds of ends that succeeded

    def add(self, entry: Any) -> None:
        """One more entry of the log; it has to follow from those before it."""
        action = entry["action"].removeprefix("awf.task/")
        before, after = entry["status_before"], entry["status_after"]
        assert before == self.status, f"{action}: the task was {self.status}, the log says {before}"
        assert (before, _EVENTS.get(action, action), after) in EDGES, f"{before} -{action}-> {after} is no edge"
        self._count(action, before, after, entry["exec_id"])
        self.status = after

    def _count(self, action: str, before: str, after: str, exec_id: str) -> None:
        if action == "retry":
            self.attempts = 0
        elif action == "release":
            self.attempts -= before == "in-progress"
        elif after == "in-progress" and before != after:
            self.attempts += 1
        self.creations += action == "create-and-execute"
        if action == "success":
            self.successes.append(exec_id)
        self.most_attempts = max(self.most_attempts, self.attempts)


def replayed(entries: Iterable[Any]) -> dict[str, History]:
    """The histories of tasks, from entries of their logs in order."""
    histories: dict[str, History] = {}
    for entry in entries:
        histories.setdefault(entry["task_id"], History()).add(entry)
    return histories
