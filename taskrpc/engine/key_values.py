"""Keys with values that flows share, by namespace; they may expire, by the database's clock."""

from typing import Final

import orjson

from taskrpc.core.entries import key_resource
from taskrpc.core.model import Resource
from taskrpc.engine.namespace_entries import NamespaceEntries
from taskrpc.errors import invalid_params
from taskrpc.store.database import Database

LARGEST_VALUE: Final = 2**20
_SWEEP_SECONDS: Final = 60.0
_SWEPT_AT_ONCE: Final = 1000


class KeyValues(NamespaceEntries):
    """The key-value store. `sweep` has to be called now and then."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "key", key_resource)

    async def put(self, namespace: str, key: str, value: object, ttl: int | None) -> Resource:
        """Sets a value, which is gone after `ttl` ms, or stays."""
        text = orjson.dumps(value)
        if len(text) > LARGEST_VALUE:
            raise invalid_params("value", f"it has at most {LARGEST_VALUE} bytes as JSON, not {len(text)}")
        (row,) = await self._entries.put(namespace, key, text.decode(), ttl)
        return key_resource(row)

    async def sweep(self) -> float:
        """Removes what has expired; answers after how many seconds it wants to look again."""
        swept = await self._entries.fetch("forget_expired_keys", _SWEPT_AT_ONCE)
        return 0.0 if len(swept) == _SWEPT_AT_ONCE else _SWEEP_SECONDS
