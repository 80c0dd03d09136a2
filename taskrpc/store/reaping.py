"""The reaper's statements: each carries out what time has made due, for a bounded number of tasks."""

from typing import Final

from taskrpc.store import gates
from taskrpc.store.database import Database, Record
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL

MOST_ROWS: Final = 500
OUTAGE_MS: Final = 5000.0

# Those that trust the pulse take its age as a further parameter: nothing expires while it is old.
_ROUND: Final = (
    ("promote", ()),
    ("finish_waits", ()),
    ("requeue", (OUTAGE_MS,)),
    ("expire", (OUTAGE_MS,)),
    ("drop", ()),
)


class Reaping:
    """One server's share of the work; any number of servers do it side by side."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def beat(self) -> bool:
        """Says that this server is alive; True when none was for longer than OUTAGE_MS."""
        return bool((await self._database.fetch("beat", OUTAGE_MS))[0]["resumed"])

    async def reap(self) -> int:
        """Does everything that is due, at most MOST_ROWS of a kind; answers how many rows it touched."""
        touched = len(await self._database.fetch("put_off", MOST_ROWS))
        for statement, further in _ROUND:
            touched += await self._carry_out(statement, *further)
        return touched + await self._fire_timers()

    async def _fire_timers(self) -> int:
        rows = await self._database.fetch("fire_timers", MOST_ROWS)
        self._signals.told(list({row["workflow_id"] for row in rows}))
        return len(rows)

    async def _carry_out(self, statement: str, *further: float) -> int:
        async with self._database.connection() as connection, connection.transaction():
            rows: list[Record] = await connection.fetch(SQL[statement], MOST_ROWS, *further)
            admitted = await gates.settle(connection, gates.changes(rows))
        self._signals.queued(admitted)
        self._signals.changed(rows)
        return len(rows)

    async def admit_stranded(self) -> None:
        """Admits tasks that a rolled back transaction left behind although their gate has room."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(SQL["hold_definitions"])
            keys = [row["key"] for row in await connection.fetch(SQL["find_stranded"])]
            admitted = await gates.settle(connection, dict.fromkeys(keys, 0))
        self._signals.queued(admitted)

    async def seconds_until_due(self) -> float | None:
        """How long nothing will be due; None when nothing is planned."""
        seconds: float | None = (await self._database.fetch("next_due"))[0]["seconds"]
        return seconds
