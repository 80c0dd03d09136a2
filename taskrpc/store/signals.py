"""What commits mean for those who wait: told after each commit, on this server at once and to others as a hint."""

from collections.abc import Callable, Sequence
from typing import Any

from taskrpc.core.model import Queue

OnQueued = Callable[[Sequence[Queue]], None]
OnEnded = Callable[[Sequence[str]], None]
OnDue = Callable[[float], None]
OnReported = Callable[[Sequence[str]], None]
OnTold = Callable[[Sequence[str]], None]
OnChanged = Callable[[Sequence[Any]], None]


class Signals:
    """The one function through which everything passes that can make a task ready, or ends one."""

    def __init__(self) -> None:
        self._on_queued: list[OnQueued] = []
        self._on_ended: list[OnEnded] = []
        self._on_due: list[OnDue] = []
        self._on_reported: list[OnReported] = []
        self._on_told: list[OnTold] = []
        self._on_changed: list[OnChanged] = []

    def subscribe(self, on_queued: OnQueued, on_ended: OnEnded) -> None:
        """Has the queues that got tasks, and the ids of tasks that are done, told from now on."""
        self._on_queued.append(on_queued)
        self._on_ended.append(on_ended)

    def subscribe_due(self, on_due: OnDue) -> None:
        """Has it told in how many seconds, by the database's clock, a task that waits for its time will be due."""
        self._on_due.append(on_due)

    def subscribe_changes(self, on_changed: OnChanged) -> None:
        """Has the rows told of all tasks that have changed."""
        self._on_changed.append(on_changed)

    def subscribe_reported(self, on_reported: OnReported) -> None:
        """Has the ids of workflows told that have something new in their inbox."""
        self._on_reported.append(on_reported)

    def subscribe_told(self, on_told: OnTold) -> None:
        """The same for executions of flows."""
        self._on_told.append(on_told)

    def reported(self, workflow_ids: Sequence[str]) -> None:
        """Something was put into the inboxes of these workflows."""
        if workflow_ids:
            for react in self._on_reported:
                react(workflow_ids)

    def told(self, ids: Sequence[str]) -> None:
        """Something was put into the inboxes of these executions."""
        if ids:
            for react in self._on_told:
                react(ids)

    def due(self, seconds: float) -> None:
        """Something will be due in so many seconds."""
        for react in self._on_due:
            react(seconds)

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

    def changed(self, rows: Sequence[Any], *, attended: bool = False) -> None:
        """Tells what changed rows of the table task mean; `attended`: whoever changed them has seen to the inboxes that
        this concerns."""
        if not rows:
            return
        for tell in self._on_changed:
            tell(rows)
        self.queued([(row["kind"], row["name"]) for row in rows if row["queued"]])
        done = [row for row in rows if row["status"] == "done"]
        self.ended([row["id"] for row in done])
        if not attended:
            self.reported(_concerned(rows, done))
        self.told(_told(rows, attended=attended))
        appointments = ((row["wake_at"] or row["ends_at"], row["updated_at"]) for row in rows)
        waits = [at - now for at, now in appointments if at is not None]
        if waits:
            self.due(min(waits).total_seconds())


def _told(rows: Sequence[Any], *, attended: bool) -> list[str]:
    """The executions that have something in their inbox after such changes: a task or subflow of theirs has begun or is
    done, or somebody has changed their own workflow."""
    parts = [row for row in rows if row["flow_part"] is not None and row["parent_id"] is not None]
    heard = {row["parent_id"] for row in parts if row["status"] == "done" or _has_begun(row) or _is_lost(row)}
    own = {row["id"] for row in rows if row["state"] is not None and (not attended or row["outcome"] == "canceled")}
    return [*heard, *own]


def _is_lost(row: Any) -> bool:
    return (row["flow_part"], row.get("status_before")) == ("directory", "in-progress")


def _has_begun(row: Any) -> bool:
    return (row["kind"], row["status"]) == ("task", "in-progress") and row.get("status_before") != "in-progress"


def _concerned(rows: Sequence[Any], done: Sequence[Any]) -> list[str]:
    """The workflows that decide by decisions and have something in their inbox after such changes."""
    parents = {row["parent_id"] for row in done if row["parent_id"] is not None and row["flow_part"] is None}
    workflows = [row for row in rows if row["kind"] == "workflow" and row["state"] is None]
    ended = {row["id"] for row in workflows if row["status"] == "done" and row.get("leaves_open", True)}
    begun = {row["id"] for row in workflows if row["status"] != "done" and row.get("status_before") == "created"}
    return [*parents, *ended, *begun]
