"""Deleting what is done, a slice at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from taskrpc.core.built_in import CleanUpRule
from taskrpc.store.database import Database
from taskrpc.store.recovery import fetch_through_outages

MOST_ROWS: Final = 500
# What belongs to a workflow that goes on is looked at again so much later.
KEPT_MS: Final = 3_600_000.0

Place = tuple[datetime, str]
FIRST: Final[Place] = (datetime(1, 1, 1, tzinfo=UTC), "")


@dataclass(frozen=True, slots=True)
class Page:
    """What one slice of a clean-up has done: `feedback` is the JSON that the clean-up's task shows now, `last` the
    place in the order of creation that it has come to, None when there was nothing left."""

    feedback: str
    last: Place | None


class Retention:
    """Deletes for every server; any number of them do it side by side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_expired(self) -> int:
        """Deletes tasks whose retention has passed, at most MOST_ROWS; answers how many."""
        return len(await self._database.fetch("delete_expired", MOST_ROWS, KEPT_MS))

    async def delete_runs(self) -> int:
        """Deletes runs of executions that were deleted, at most MOST_ROWS; answers how many."""
        return len(await self._database.fetch("delete_gone_runs", MOST_ROWS))

    async def gone(self) -> list[tuple[int, str]]:
        """Executions that were deleted and have no runs left: their keys, and the ids that they had."""
        rows = await self._database.fetch("find_gone", MOST_ROWS)
        return [(row["execution"], row["workflow_id"]) for row in rows]

    async def forget(self, keys: Sequence[int]) -> None:
        """Nothing is left of these executions."""
        await self._database.fetch("forget_gone", keys)

    async def seconds_until_expiry(self) -> float | None:
        """How long no retention will pass; None when none is counted."""
        seconds: float | None = (await self._database.fetch("next_expiry"))[0]["seconds"]
        return seconds

    async def old_enough(self, rule: CleanUpRule) -> datetime:
        """What has not changed since then is old, by the rule's policy."""
        age = f"{rule.policy.value} {rule.policy.unit}"
        at: datetime = (await self._database.fetch("old_enough", age))[0]["at"]
        return at

    async def clean_up(
        self, task_id: str, exec_id: str, since: datetime, rule: CleanUpRule, after: Place
    ) -> Page | None:
        """One slice of a clean-up; None when its execution is not the current one any more, or its row is locked."""
        names: tuple[Sequence[str] | None, Sequence[str] | None] = (rule.include, rule.exclude)
        rows = await fetch_through_outages(
            self._database, "clean_up", task_id, exec_id, since, *names, *after, MOST_ROWS
        )
        if not rows:
            return None
        last = None if rows[0]["id"] is None else (rows[0]["at"], rows[0]["id"])
        return Page(rows[0]["feedback"], last)
