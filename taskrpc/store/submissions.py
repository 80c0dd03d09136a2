"""Tasks and workflows for those who use REST: read by definition, deleted with all their traces."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskrpc.core.definition import Kind
from taskrpc.core.model import Queue, Row
from taskrpc.store import gates
from taskrpc.store.database import Connection, Database, Record, unavailable
from taskrpc.store.recovery import through_outages
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL

MOST_LISTED: Final = 100_000
MOST_DELETED: Final = 100
_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.01


class _SomebodyHoldsIt(Exception):
    """A row that is to be deleted is locked by another transaction: this one is given up, and made again."""


@dataclass(slots=True)
class Deleted:
    """What a deletion has come to: ids that are gone, and those that stay because their workflow is not done."""

    ids: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


class Submissions:
    """Reads and deletes tasks and workflows of one definition at a time; `name` is always the definition's."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def statuses(self, name: str, statuses: Collection[str] | None) -> dict[str, str]:
        """Ids and statuses of all, or of those in given statuses, at most MOST_LISTED + 1."""
        rows = await self._database.read("statuses_of_name", name, statuses, MOST_LISTED + 1)
        return {row["id"]: row["status"] for row in rows}

    async def statuses_of(self, name: str, ids: Sequence[str]) -> dict[str, str]:
        """Ids and statuses of those that exist."""
        return {row["id"]: row["status"] for row in await self._database.read("statuses_of_ids", name, ids)}

    async def one(self, name: str, task_id: str) -> Row | None:
        """The row, with its `submission_status`; None where there is none."""
        rows = await self._database.read("submission", name, task_id)
        return rows[0] if rows else None

    async def kind(self, name: str) -> Kind | None:
        """Of which kind what has this name is: task or workflow; None where nothing has it."""
        rows = await self._database.read("kind_of_name", name)
        return rows[0]["kind"] if rows else None

    async def delete(self, name: str, ids: Sequence[str], statuses: Collection[str] | None = None) -> Deleted:
        """Ends and deletes those that (still) are in the given statuses, with all that belongs to them and their logs.

        What is deleted together, MOST_DELETED at a time, is so in one transaction.
        """
        deleted = Deleted()
        for n in range(0, len(ids), MOST_DELETED):
            part = ids[n : n + MOST_DELETED]
            await self._delete_when_free(name, part, statuses, deleted)
        return deleted

    async def _delete_when_free(
        self, name: str, ids: Sequence[str], statuses: Collection[str] | None, deleted: Deleted
    ) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + _PATIENCE_SECONDS
        while True:
            try:
                return await through_outages(self._database, lambda: self._delete(name, ids, statuses, deleted))
            except _SomebodyHoldsIt:
                if clock() > deadline:
                    raise unavailable("Another transaction holds what is to be deleted") from None
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _delete(self, name: str, ids: Sequence[str], statuses: Collection[str] | None, deleted: Deleted) -> None:
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(SQL["hold_definitions"])
            rows: list[Record] = await connection.fetch(SQL["lock_submissions"], ids, name, statuses)
            await _refuse_missed(connection, name, set(ids) - {row["id"] for row in rows}, statuses)
            kept = {row["id"] for row in rows if row["is_kept"]}
            doomed = [row for row in rows if not row["is_kept"]]
            deleted.ids |= {row["id"] for row in doomed}  # said before the commit: a repeat finds nothing any more
            everything = [*doomed, *await _all_below(connection, _workflows(doomed))]
            await connection.execute(SQL["delete_traces"], [row["id"] for row in everything])
            admitted = await gates.settle(connection, gates.changes(map(_as_ended, everything)))
        deleted.kept |= kept
        self._tell(everything, admitted)

    def _tell(self, rows: Sequence[Record], admitted: Sequence[Queue]) -> None:
        self._signals.queued(admitted)
        self._signals.ended([row["id"] for row in rows])


async def _refuse_missed(
    connection: Connection, name: str, ids: Collection[str], statuses: Collection[str] | None
) -> None:
    """What was not locked is gone, or is not what was asked for: else somebody holds it."""
    rows = await connection.fetch(SQL["statuses_of_ids"], name, list(ids)) if ids else []
    if any(statuses is None or row["status"] in statuses for row in rows):
        raise _SomebodyHoldsIt


async def _all_below(connection: Connection, workflows: Sequence[str]) -> list[Record]:
    """Locks what belongs to locked workflows, a level after the other. Nothing is added meanwhile: whoever adds to a
    workflow holds it."""
    found: list[Record] = []
    while workflows:
        rows: list[Record] = await connection.fetch(SQL["lock_below"], workflows)
        (counted,) = await connection.fetch(SQL["count_below"], workflows)
        if counted["number"] != len(rows):
            raise _SomebodyHoldsIt
        found += rows
        workflows = _workflows(rows)
    return found


def _workflows(rows: Iterable[Record]) -> list[str]:
    return [row["id"] for row in rows if row["kind"] == "workflow"]


def _as_ended(row: Record) -> Row:
    """A deleted row, as gates see one that has ended."""
    return {**row, "status_before": row["status"], "held_before": row["held"], "status": "done", "held": False}
