"""Flows in the database: revisions are appended to the definitions, numbered from 1 on for each flow. Their triggers
change in the same transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from taskrpc.errors import invalid_params
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.flow_triggers import NewTrigger, put_triggers
from taskrpc.store.recovery import fetch_through_outages, through_outages
from taskrpc.store.statements import SQL

# Whoever waits for the definitions keeps everybody behind it waiting; rather let them pass, and try again.
_PATIENCE: Final = "set local lock_timeout = '250ms'"

Spec = Mapping[str, Any]


class FlowStore:
    """Reads and writes flows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, spec: Spec, triggers: Sequence[NewTrigger]) -> Record:
        """Appends a revision, none when the newest says the same; answers the newest. Its triggers hold from now on.

        `spec` has everything but the number. Raises `invalid-params` where the name has a definition of another kind,
        or is that of a flow whose namespace ends elsewhere.
        """

        async def put() -> Record:
            async with self._database.connection() as connection, connection.transaction():
                return await self._put(connection, name, spec, triggers)

        return await through_outages(self._database, put)

    async def apply_file(self, digest: str, path: str, name: str, spec: Spec, triggers: Sequence[NewTrigger]) -> bool:
        """Puts the flow of a file, unless a file with this content was applied before; whether it did."""

        async def apply() -> bool:
            async with self._database.connection() as connection, connection.transaction():
                if not await connection.fetch(SQL["remember_file"], digest, path):
                    return False
                await self._put(connection, name, spec, triggers)
                return True

        return await through_outages(self._database, apply)

    async def _put(self, connection: Connection, name: str, spec: Spec, triggers: Sequence[NewTrigger]) -> Record:
        former = await self._locked(connection, name)
        known: Spec = {} if former is None or former["kind"] != "flow" else orjson.loads(former["spec"])
        if former is not None and not former["deleted"]:
            _refuse_another(name, former["kind"], known, spec)
            if {**known, "revision": None} == {**spec, "revision": None}:
                return former
        numbered = {**spec, "revision": known.get("revision", 0) + 1}
        row = await connection.fetchrow(SQL["put_flow"], name, _json(numbered), False)
        await put_triggers(connection, name, triggers)
        return row

    async def delete(self, name: str) -> bool:
        """Notes that a flow is deleted; whether there was one."""

        async def delete() -> bool:
            async with self._database.connection() as connection, connection.transaction():
                former = await self._locked(connection, name)
                if former is None or former["kind"] != "flow" or former["deleted"]:
                    return False
                known = orjson.loads(former["spec"])
                gone = {key: known[key] for key in ("namespace", "id", "revision")}
                await connection.execute(SQL["put_flow"], name, _json(gone), True)
                await put_triggers(connection, name, [])
                await connection.execute(SQL["drop_submissions"], name)
                return True

        return await through_outages(self._database, delete)

    @staticmethod
    async def _locked(connection: Connection, name: str) -> Record | None:
        await connection.execute(_PATIENCE)
        await connection.execute(SQL["lock_definitions"])
        return await connection.fetchrow(SQL["newest_definition"], name)

    async def rev(self, name: str, revision: int | None = None) -> int | None:
        """The number of the row that a flow is now, or in a revision; None if there is none."""
        rows = await fetch_through_outages(self._database, "flow_rev", name, revision)
        return rows[0]["rev"] if rows else None

    async def by_rev(self, rev: int) -> Record | None:
        """The row of a number, if it is a flow's."""
        rows = await fetch_through_outages(self._database, "flow_by_rev", rev)
        return rows[0] if rows else None

    async def all(self, namespace: str | None, names: Collection[str] | None) -> list[Record]:
        """The newest revisions of all flows, without their documents, by their names; those of a namespace, and of
        these names only, if they are given."""
        return await fetch_through_outages(self._database, "flows", namespace, None if names is None else list(names))


def _refuse_another(name: str, kind: str, known: Spec, spec: Spec) -> None:
    if kind != "flow":
        raise invalid_params("id", f"{name} is the name of a definition of kind {kind}; delete that first")
    if (known["namespace"], known["id"]) != (spec["namespace"], spec["id"]):
        other = f"{known['id']} in the namespace {known['namespace']}"
        raise invalid_params("id", f"{name} is the name of another flow, {other}")


def _json(document: Spec) -> str:
    return orjson.dumps(document).decode()
