"""The keys as a server knows them: in memory, read again every second and whenever somebody says that they changed."""

import asyncio
from collections.abc import Mapping
from typing import Final

from taskrpc.core.access import Access, Key, bearer_of, presented
from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Database
from taskrpc.store.keys import read_keys

REFRESH_SECONDS: Final = 1.0


class Keys:
    """Who may call this server. As long as there is no key, everybody may if `open_without`, else nobody.

    `look` has to be called once before the first request, and now and then. `generation` grows with every change.
    """

    def __init__(self, database: Database, *, open_without: bool) -> None:
        self._database = database
        self._open_without = open_without
        self._keys: dict[bytes, Key] = {}
        self.outdated = asyncio.Event()
        self.required = not open_without
        self.generation = 0

    async def look(self) -> float:
        """Reads the keys."""
        keys = await read_keys(self._database)
        self.generation += keys != self._keys
        self._keys = keys
        self.required = bool(self._keys) or not self._open_without
        return REFRESH_SECONDS

    @property
    def refuses_everybody(self) -> bool:
        """Whether there is no key although one is required."""
        return self.required and not self._keys

    def access(self, headers: Mapping[bytes, bytes]) -> Access | None:
        """What the key that comes with a request allows; None where none is required. Raises `unauthorized`."""
        if not self.required:
            return None
        key = presented(headers)
        access = bearer_of(key, self._keys)
        if access is None:
            problem = "This key is not known, or was revoked" if key else "A key is required"
            ways = "send one as X-API-KEY, or as Authorization: Bearer, or Basic with its name as the user"
            raise TaskRpcError("unauthorized", f"{problem}: {ways}")
        return access
