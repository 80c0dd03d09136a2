"""Definitions in the database: revisions are appended, and limits change together with the tasks they hold for."""

from typing import Any, Final

import orjson

from taskrpc.core.definition import DefinitionSpec
from taskrpc.core.model import Queue
from taskrpc.errors import invalid_params
from taskrpc.store import gates
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.recovery import fetch_through_outages, through_outages
from taskrpc.store.statements import SQL

_LIMITS: Final = ("concurrency_limit", "queue_limit")
# Whoever waits for the tasks keeps everybody behind it waiting; rather let them pass, and try again.
_PATIENCE: Final = "set local lock_timeout = '250ms'"


def _values(spec: DefinitionSpec, fields: dict[str, Any]) -> list[object]:
    backoff = spec.retryBackoff
    return [
        spec.kind,
        orjson.dumps(fields).decode(),
        spec.requestedToStartTimeout,
        spec.inProgressTimeout,
        spec.allowedRetryCount,
        spec.retryDelay,
        backoff.factor,
        backoff.max,
        backoff.jitter,
        spec.timeout,
        spec.concurrencyLimit,
        spec.queueLimit,
        spec.retention,
        spec.result is not None,
        spec.error is not None,
    ]


class DefinitionStore:
    """Reads and writes definitions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Record]:
        """The newest revision of every name, deleted ones too."""
        return await fetch_through_outages(self._database, "definitions")

    async def newest_rev(self) -> int:
        """The number of the newest revision of all."""
        rev: int = (await fetch_through_outages(self._database, "newest_rev"))[0][0]
        return rev

    async def by_rev(self, rev: int) -> Record | None:
        """One revision."""
        rows = await fetch_through_outages(self._database, "definition_by_rev", rev)
        return rows[0] if rows else None

    async def put(
        self, name: str, spec: DefinitionSpec, fields: dict[str, Any], *, deleted: bool = False
    ) -> tuple[Record, list[Queue]]:
        """Appends a revision (none when it would say the same); answers it and the queues whose tasks were admitted."""

        async def put() -> tuple[Record, list[Queue]]:
            async with self._database.connection() as connection, connection.transaction():
                return await self._put(connection, name, spec, fields, deleted)

        return await through_outages(self._database, put)

    async def apply_file(
        self, digest: str, path: str, definitions: dict[str, tuple[DefinitionSpec, dict[str, Any]]]
    ) -> tuple[bool, list[Queue]]:
        """Puts all definitions of a file, unless a file with this content was applied before; whether it did."""

        async def apply() -> tuple[bool, list[Queue]]:
            admitted: list[Queue] = []
            async with self._database.connection() as connection, connection.transaction():
                if not await connection.fetch(SQL["remember_file"], digest, path):
                    return False, admitted
                for name, (spec, fields) in sorted(definitions.items()):
                    admitted += (await self._put(connection, name, spec, fields, False))[1]
            return True, admitted

        return await through_outages(self._database, apply)

    async def _put(
        self, connection: Connection, name: str, spec: DefinitionSpec, fields: dict[str, Any], deleted: bool
    ) -> tuple[Record, list[Queue]]:
        await connection.execute(_PATIENCE)
        await connection.execute(SQL["lock_tasks"])
        former = await connection.fetchrow(SQL["newest_definition"], name)
        if spec.kind == "flow" or (former is not None and former["kind"] == "flow" and not former["deleted"]):
            raise invalid_params("id", f"{name} is a flow: those have methods of their own, awf.flow/")
        values = _values(spec, fields)
        if former is not None and former["deleted"] == deleted and former["spec"] == values[1]:
            return former, []
        row = await connection.fetchrow(SQL["put_definition"], name, *values, deleted)
        if deleted:
            await connection.execute(SQL["drop_submissions"], name)
        await connection.execute(SQL["spread_retention"], name, spec.retention)
        before = [former[column] if former is not None else None for column in _LIMITS]
        if before == [row[column] for column in _LIMITS]:
            return row, []
        return row, await self._regate(connection, row)

    @staticmethod
    async def _regate(connection: Connection, row: Record) -> list[Queue]:
        """Gives open tasks the gates of new limits; nobody else changes tasks meanwhile."""
        name, concurrency, queue = row["name"], row["concurrency_limit"], row["queue_limit"]
        queue_gate = f"queue/{name}" if queue is not None else None
        await connection.execute(SQL["regate"], name, concurrency is not None, queue_gate)
        await connection.execute(SQL["forget_gates"], name)
        await connection.execute(SQL["rebuild_gates"], name, concurrency, queue)
        keys = [key["key"] for key in await connection.fetch(SQL["gates_of_definition"], name)]
        admitted = await gates.settle(connection, dict.fromkeys(keys, 0))
        return [*admitted, ("task", name), ("decision", name)]
