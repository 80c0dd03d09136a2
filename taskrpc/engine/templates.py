"""Templates: lists of tasks that flows of any namespace take in. Every change is a revision, which stays."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson

from taskrpc.core.entries import template_resource
from taskrpc.core.flow.parse import parse_template
from taskrpc.core.flow.reading import InvalidFlowError
from taskrpc.core.model import Resource
from taskrpc.engine.flow_sources import refusal_of
from taskrpc.engine.namespace_entries import NamespaceEntries
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.store.database import Database, Record

LARGEST_TEMPLATE: Final = 256 * 1024


def _resource(row: Record) -> Resource:
    if "spec" in row:
        return template_resource(row, orjson.loads(row["spec"]))
    return template_resource(row, {} if row["description"] is None else {"description": row["description"]})


class Templates(NamespaceEntries):
    """The templates of all namespaces."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "template", _resource)

    async def put(self, namespace: str, id: str, spec: Mapping[str, Any]) -> Resource:
        """Adds a revision, or none if the newest says the same; answers the newest. Raises `invalid-params` with the
        path of every mistake in its tasks."""
        text = orjson.dumps(spec)
        if len(text) > LARGEST_TEMPLATE:
            raise invalid_params("tasks", f"a template has at most {LARGEST_TEMPLATE} bytes, not {len(text)}")
        try:
            await asyncio.to_thread(parse_template, {"namespace": namespace, "id": id, **spec})
        except InvalidFlowError as error:
            raise refusal_of(error) from None
        while not (rows := await self._entries.put(namespace, id, text.decode())):
            pass  # somebody added a revision at the same moment: look at that one
        return _resource(rows[0])

    async def get(self, namespace: str, name: str, revision: int | None = None) -> Resource:
        """A template as it is now, or in one revision, also if it was deleted since; raises `template-not-found`."""
        return _resource(await self._entries.get(namespace, name, revision))

    async def delete(self, namespace: str, name: str) -> None:
        """Deletes a template; its revisions stay for executions that have them. Raises `template-not-found`."""
        while True:
            try:
                return await self._entries.delete(namespace, name)
            except TaskRpcError as refusal:
                if refusal.type != "template-not-found":
                    raise
            await self._entries.get(namespace, name, None)  # there is one: somebody added a revision at the same moment
