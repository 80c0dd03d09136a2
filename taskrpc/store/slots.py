"""How many executions of a flow there are at once: slots, counted under the lock of the flow's own row.

Who needs a slot and gets none waits in the order of asking; who gives one back passes it on in the same transaction.
"""

from dataclasses import dataclass

from taskrpc.store.database import Connection, Database
from taskrpc.store.statements import SQL


@dataclass(frozen=True, slots=True)
class Freed:
    """An execution of the flow `name` needs its slot no longer; `limit`: how many there may be, None: any number."""

    name: str
    limit: int | None


class Slots:
    """Hands out slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, key: int, workflow_id: str, name: str, limit: int, event: str, *, waits: bool) -> bool:
        """Whether the execution has a slot now; one that has or waits for one already gets no second.

        One that `waits` is told `event` when it gets one later; of others nothing is kept.
        """
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(SQL["lock_flow"], name)
            held: bool | None = await connection.fetchval(SQL["take_slot"], key, workflow_id, name, limit, event, waits)
        return bool(held)


async def free(connection: Connection, key: int, freed: Freed) -> list[str]:
    """Gives a slot back inside the caller's transaction; answers the executions that got one."""
    await connection.execute(SQL["lock_flow"], freed.name)
    await connection.execute(SQL["free_slot"], key)
    return [row["workflow_id"] for row in await connection.fetch(SQL["admit_executions"], freed.name, freed.limit)]
