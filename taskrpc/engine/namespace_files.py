"""Files that flows of a namespace share: scripts, queries, settings. They are small and live in the database."""

from typing import Final

from taskrpc.core.entries import file_resource
from taskrpc.core.model import Resource
from taskrpc.engine.namespace_entries import NamespaceEntries
from taskrpc.errors import invalid_params
from taskrpc.store.database import Database

LARGEST_FILE: Final = 4 * 2**20


class NamespaceFiles(NamespaceEntries):
    """The files of all namespaces."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "namespace_file", file_resource)

    async def put(self, namespace: str, path: str, content: bytes) -> Resource:
        """Stores a file, in place of the one that has this path."""
        if len(content) > LARGEST_FILE:
            raise invalid_params("content", f"a file has at most {LARGEST_FILE} bytes, not {len(content)}")
        (row,) = await self._entries.put(namespace, path, content)
        return file_resource(row)

    async def content(self, namespace: str, path: str) -> bytes:
        """The content alone, for what flows render; raises `namespace-file-not-found`."""
        content: bytes = (await self._entries.get(namespace, path))["content"]
        return content
