"""Named things in namespaces: each kind has its table and its statements in queries/namespaces.sql."""

from dataclasses import dataclass
from itertools import count

from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Database, Record
from taskrpc.store.recovery import fetch_through_outages, through_outages


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: what is in a namespace (None: in any) and begins with `prefix`; `number` is from 1."""

    namespace: str | None
    prefix: str
    count: int
    number: int


class Entries:
    """One kind of things, as `key`: statements are named put_key, get_key, list_keys, count_keys, delete_key."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    async def put(self, *values: object) -> list[Record]:
        """Carries out the statement put_…; sent again after an outage, since that ends in the same."""
        return await self.fetch(f"put_{self._kind}", *values)

    async def get(self, namespace: str, name: str, *further: object) -> Record:
        """The row of one; raises `…-not-found`."""
        rows = await self.fetch(f"get_{self._kind}", namespace, name, *further)
        if not rows:
            raise self.not_found(namespace, name)
        return rows[0]

    async def page(self, page: Page) -> tuple[list[Record], int]:
        """One page in the order of namespaces and names, and how many there are in all."""
        skip = (page.number - 1) * page.count
        rows = await self._database.read(f"list_{self._kind}s", page.namespace, page.prefix, page.count, skip)
        total = await self._database.read(f"count_{self._kind}s", page.namespace, page.prefix)
        return rows, total[0]["total"]

    async def delete(self, namespace: str, name: str) -> None:
        """Removes one; raises `…-not-found`. One that is gone after a connection broke was removed by this."""
        attempts = count()

        async def delete() -> bool:
            again = next(attempts) > 0
            return bool(await self._database.fetch(f"delete_{self._kind}", namespace, name)) or again

        if not await through_outages(self._database, delete):
            raise self.not_found(namespace, name)

    async def fetch(self, statement: str, *args: object) -> list[Record]:
        """Carries out a statement that may be carried out twice."""
        return await fetch_through_outages(self._database, statement, *args)

    def not_found(self, namespace: str, name: str) -> TaskRpcError:
        """The refusal for one that is not there."""
        kind = self._kind.replace("_", "-")
        words = kind.replace("-", " ")
        return TaskRpcError(f"{kind}-not-found", f"There is no {words} {name[:80]!r} in the namespace {namespace!r}")
