"""Tokens with which executors read and write the files of their executions, and nothing else.

A token is a grant, sealed with a key that all servers of a database share. Whether its time is over is told by the
database's clock.
"""

from datetime import UTC, datetime

import orjson
from cryptography.fernet import Fernet, InvalidToken

from taskrpc.core.grant import Grant
from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Database
from taskrpc.store.recovery import through_outages


class FileTokens:
    """Makes tokens and reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fernet: Fernet | None = None

    async def make(self, grant: Grant) -> str:
        """The token of a grant; some 200 characters, with each path more."""
        fields = [list(grant.read), list(grant.write), grant.expires_at.timestamp()]
        return (await self._sealing()).encrypt(orjson.dumps(fields)).decode()

    async def check(self, token: str, path: str, *, write: bool) -> None:
        """Raises `unauthorized` for a token that is none or is over, `forbidden` if it is for other files."""
        grant = await self._read(token)
        rows = await self._database.fetch("is_over", grant.expires_at)
        if rows[0]["over"]:
            raise TaskRpcError("unauthorized", f"The token was good until {grant.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        if not grant.allows(path, write=write):
            raise TaskRpcError("forbidden", f"The token does not let you {'write' if write else 'read'} {path[:200]!r}")

    async def _read(self, token: str) -> Grant:
        try:
            read, write, expires = orjson.loads((await self._sealing()).decrypt(token.encode()))
        except InvalidToken:
            raise TaskRpcError("unauthorized", "The token is not one of this service") from None
        return Grant(read, write, datetime.fromtimestamp(expires, UTC))

    async def _sealing(self) -> Fernet:
        if self._fernet is None:
            rows = await through_outages(self._database, self._shared_key)
            self._fernet = Fernet(rows[0]["key"])
        return self._fernet

    async def _shared_key(self) -> list[dict[str, str]]:
        await self._database.fetch("make_file_key", Fernet.generate_key().decode())
        return await self._database.fetch("file_key")
