"""The scheduler's rules in the database, and the transactions in which their ticks are judged."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import orjson

from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.recovery import fetch_through_outages
from taskrpc.store.statements import SQL

MOST_RULES: Final = 100
# Rules are locked for moments only; whoever waits longer tries again.
_PATIENCE: Final = "set local lock_timeout = '1s'"


class SchedulerRules:
    """Reads and writes rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> datetime:
        """The time, by the database's clock."""
        at: datetime = (await fetch_through_outages(self._database, "clock"))[0]["now"]
        return at

    async def put(
        self, rule_id: str, spec: Mapping[str, object], next_tick: datetime | None, setup: bool
    ) -> Record | None:
        """Adds a rule or replaces it; `setup`: a new one has its first tick at once. None for that of a flow."""
        rows = await fetch_through_outages(
            self._database, "put_scheduler_rule", rule_id, _json(spec), next_tick, setup, None, None
        )
        return rows[0] if rows else None

    async def read(self, rule_id: str | None = None) -> list[Record]:
        """All rules by their ids, or the one that has this id."""
        return await fetch_through_outages(self._database, "scheduler_rules", rule_id)

    async def delete(self, rule_id: str) -> None:
        """Deletes a rule, if there is one that is not of a flow."""
        await fetch_through_outages(self._database, "delete_scheduler_rule", rule_id)

    async def due(self, aside: Collection[str]) -> list[str]:
        """The ids of rules with a tick that has come, the most overdue first, at most MOST_RULES; not those `aside`."""
        return [row["id"] for row in await self._database.fetch("due_rules", MOST_RULES, list(aside))]

    async def seconds_until_tick(self, aside: Collection[str]) -> float | None:
        """How long no rule will tick, but for those `aside`; None when none will."""
        seconds: float | None = (await self._database.fetch("next_tick", list(aside)))[0]["seconds"]
        return seconds

    @asynccontextmanager
    async def taken(self, statement: str, rule_id: str) -> AsyncIterator[tuple[Connection, Record | None]]:
        """A transaction that holds a rule's row, by `take_due_rule` or `take_rule`; None where there is no such row."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_PATIENCE)
            yield connection, await connection.fetchrow(SQL[statement], rule_id)

    @staticmethod
    async def note_fire(
        connection: Connection, rule: Record, following: datetime | None, tick: datetime | None,
        started: Mapping[str, object],
    ) -> None:  # fmt: skip
        """Notes what a tick (None: a run) has started, and the rule's next tick."""
        await connection.execute(SQL["note_fire"], rule["id"], following, tick, _json(started))

    @staticmethod
    async def note_skip(
        connection: Connection, rule: Record, following: datetime | None, reason: Mapping[str, object]
    ) -> None:
        """Notes why a tick has started nothing, and the rule's next tick."""
        await connection.execute(SQL["note_skip"], rule["id"], following, _json(reason))


def _json(document: Mapping[str, object]) -> str:
    return orjson.dumps(document).decode()
