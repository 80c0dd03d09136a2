"""What all that flows keep by namespace has in common: that it is read, listed and removed by its name."""

from collections.abc import Callable

from taskrpc.core.model import Resource
from taskrpc.store.database import Database, Record
from taskrpc.store.entries import Entries, Page


class NamespaceEntries:
    """All entries of one kind. `resource` makes a resource of a row, with the content where the row has it."""

    def __init__(self, database: Database, kind: str, resource: Callable[[Record], Resource]) -> None:
        self._entries = Entries(database, kind)
        self._resource = resource

    async def get(self, namespace: str, name: str) -> Resource:
        """One with its content; raises `…-not-found`."""
        return self._resource(await self._entries.get(namespace, name))

    async def page(self, page: Page) -> tuple[list[Resource], int]:
        """Entries without their contents, and how many there are."""
        rows, total = await self._entries.page(page)
        return [self._resource(row) for row in rows], total

    async def delete(self, namespace: str, name: str) -> None:
        """Removes one; raises `…-not-found`."""
        await self._entries.delete(namespace, name)
