"""The inboxes of workflows: events become decisions, one at a time, and what done workflows left open is canceled.

Whoever holds the row of a workflow may take from its inbox; the rest only put something in. So decisions are one at a
time by construction, and whoever ends an activity never waits for the workflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from taskrpc.core.ids import uuid7
from taskrpc.store import gates
from taskrpc.store.batcher import AGAIN, Again
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL
from taskrpc.store.workflows import Ending, end

MOST_SWEPT: Final = 500
MOST_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Inbox:
    """The inbox of one workflow as an element of a flush."""

    key: str
    size: int = 0


class Attended:
    """The answer to an inbox that was worked off as far as is possible now."""


ATTENDED: Final = Attended()


class Inboxes:
    """Works off inboxes in sets."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals
        self._listed_to = ""

    async def run(self, inboxes: Sequence[Inbox]) -> Sequence[Attended | Again]:
        """AGAIN for inboxes whose workflow somebody holds, or that left something open which somebody holds."""
        ids = [inbox.key for inbox in inboxes]
        async with self._database.connection() as connection, connection.transaction():
            held = [row["id"] for row in await connection.fetch(SQL["lock_workflows"], ids)]
            decisions, ended = await turn_events(connection, held)
        self._signals.changed([*decisions, *ended])
        left = await self._close(list(set(ids) - set(held)))
        return [AGAIN if workflow_id in left else ATTENDED for workflow_id in ids]

    async def _close(self, ids: Sequence[str]) -> set[str]:
        """Cancels what done workflows left open; answers those that are not done, or where something stays open."""
        if not ids:
            return set()
        done = [row["id"] for row in await self._database.fetch("find_done", ids)]
        below = await self._sweep(done)
        still_open = {row["id"] for row in await self._database.fetch("close_inboxes", [*done, *below])}
        self._signals.reported([workflow_id for workflow_id in below if workflow_id in still_open])
        return still_open | (set(ids) - set(done))

    async def _sweep(self, ids: Sequence[str]) -> list[str]:
        """Cancels everything below done workflows, a level after the other; answers the workflows among it.

        What somebody holds stays open.
        """
        swept: list[str] = []
        level = ids
        while level:
            below: list[str] = []
            while rows := await self._sweep_level(level):
                below += [row["id"] for row in rows if row["kind"] == "workflow"]
            swept += below
            level = below
        return swept

    async def _sweep_level(self, ids: Sequence[str]) -> list[Record]:
        async with self._database.connection() as connection, connection.transaction():
            rows: list[Record] = await connection.fetch(SQL["sweep"], ids, MOST_SWEPT)
            admitted = await gates.settle(connection, gates.changes(rows))
        self._signals.queued(admitted)
        self._signals.changed(rows, attended=True)
        return rows

    async def find_unattended(self) -> list[str]:
        """Workflows whose inbox a server left behind that died after a commit; a page of all inboxes at a time."""
        rows = await self._database.fetch("list_inboxes", self._listed_to, MOST_LISTED)
        self._listed_to = rows[-1]["id"] if len(rows) == MOST_LISTED else ""
        return [row["id"] for row in rows if row["unattended"]]


async def turn_events(connection: Connection, ids: Sequence[str]) -> tuple[list[Record], list[Record]]:
    """Turns the first events of workflows into decisions, where none is open; ends those whose decision has failed.

    Inside the caller's transaction, which has locked the workflows. Answers the decisions and the ended workflows.
    """
    if not ids:
        return [], []
    rows = await connection.fetch(SQL["turn_events"], ids, [uuid7() for _ in ids])
    endings = [_failed(row) for row in rows if row["failed"]]
    return [row for row in rows if not row["failed"]], await end(connection, endings)


def _failed(row: Record) -> Ending:
    """The end of a workflow whose decision has failed for good; `row` is that decision."""
    reason = orjson.loads(row["outcome_reason"])
    data = {"decision": row["id"]} | ({"error": orjson.loads(row["error"])} if row["error"] is not None else {})
    return Ending(
        id=row["parent_id"],
        outcome="failed",
        action="awf.workflow/decision-failed",
        reason=orjson.dumps(
            {
                "type": str(reason["type"]).replace("awf.task/failed-by-executor", "awf.workflow/failed-by-executor"),
                "message": f"A decision failed for good: {reason['message']}",
                "data": data,
            }
        ).decode(),
    )
