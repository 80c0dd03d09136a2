"""Events in the database: published ones, those that transitions leave, and who has to be told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.statements import SQL

MOST_TAKEN: Final = 200
MOST_BYTES: Final = 32 * 2**20


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A resource to be published, as JSON; the same event may be published again by its `id`."""

    id: str
    resource: str

    @property
    def key(self) -> str:
        return self.id

    @property
    def size(self) -> int:
        return len(self.resource)


class Occurrences:
    """The events that were not told to everybody yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[bool]:
        """Keeps events; whether somebody may listen for each. A flush of the batcher."""
        sizes = [len(event.resource.encode()) for event in events]
        rows = await self._database.fetch("publish", [e.id for e in events], [e.resource for e in events], sizes)
        kept = {row["id"] for row in rows}
        return [event.id in kept for event in events]

    async def somebody_listens(self) -> bool:
        """Whether there is anybody to be told."""
        return bool((await self._database.fetch("somebody_listens"))[0]["listening"])


async def take(connection: Connection, most: int, aside: Sequence[int]) -> list[Record]:
    """The oldest events that no other server is at, inside the caller's transaction; without those that are `aside`."""
    rows: list[Record] = await connection.fetch(SQL["take_occurrences"], most, MOST_BYTES, aside)
    return rows


async def listeners(connection: Connection, occurrences: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The open subscriptions and the rules that may have to hear of some events."""
    keys = sorted({key for occurrence in occurrences for key in occurrence["keys"]})
    return await connection.fetch(SQL["listening_tasks"], keys), await connection.fetch(SQL["listening_rules"], keys)


async def finish(connection: Connection, results: Mapping[str, str]) -> tuple[list[Record], set[str]]:
    """Ends subscriptions with their results; their rows, and the ids of those that somebody else has locked."""
    if not results:
        return [], set()
    ids = sorted(results)
    rows: list[Record] = await connection.fetch(SQL["finish_subscriptions"], ids, [results[id] for id in ids])
    return rows, {row["id"] for row in await connection.fetch(SQL["still_listening"], ids)}


async def forget(connection: Connection, told: Sequence[int], left_for: Mapping[int, Sequence[str]]) -> None:
    """Deletes events that were told, by their numbers, but those that are left for subscriptions."""
    await connection.execute(SQL["forget_occurrences"], [seq for seq in told if seq not in left_for])
    for seq, ids in left_for.items():
        await connection.execute(SQL["leave_occurrence"], seq, list(ids))
