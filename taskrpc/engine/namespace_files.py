"""Files that flows of a namespace share: scripts, queries, settings. They are small and live in the database."""

from typing import Final

from taskrpc.core.entries import file_resource
from taskrpc.core.model import Resource
from taskrpc.errors import invalid_params
from taskrpc.store.database import Database
from taskrpc.store.entries import Entries, Page

LARGEST_FILE: Final = 4 * 2**20


class NamespaceFiles:
    """The files of all namespaces."""

    def __init__(self, database: Database) -> None:
        self._entries = Entries(database, "namespace_file")

    async def put(self, namespace: str, path: str, content: bytes) -> Resource:
        """Stores a file, in place of the one that has this path."""
        if len(content) > LARGEST_FILE:
            raise invalid_params("content", f"a file has at most {LARGEST_FILE} bytes, not {len(content)}")
        (row,) = await self._entries.put(namespace, path, content)
        return file_resource(row)

    async def get(self, namespace: str, path: str) -> Resource:
        """The file with its content; raises `namespace-file-not-found`."""
        return file_resource(await self._entries.get(namespace, path))

    async def content(self, namespace: str, path: str) -> bytes:
        """The content alone, for what flows render; raises `namespace-file-not-found`."""
        content: bytes = (await self._entries.get(namespace, path))["content"]
        return content

    async def page(self, page: Page) -> tuple[list[Resource], int]:
        """Files without their contents, and how many there are."""
        rows, total = await self._entries.page(page)
        return [file_resource(row) for row in rows], total

    async def delete(self, namespace: str, path: str) -> None:
        """Removes a file; raises `namespace-file-not-found`."""
        await self._entries.delete(namespace, path)
