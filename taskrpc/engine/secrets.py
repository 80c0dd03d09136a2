"""Secrets that flows use, by namespace: encrypted at rest, and shown by no method."""

from typing import Final

from taskrpc.core.entries import secret_resource
from taskrpc.core.model import Resource
from taskrpc.engine.cipher import Cipher
from taskrpc.engine.namespace_entries import NamespaceEntries
from taskrpc.store.database import Database

_AT_ONCE: Final = 100


class Secrets(NamespaceEntries):
    """The secrets of all namespaces; their resources tell what may be known of them."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        super().__init__(database, "secret", secret_resource)
        self._cipher = cipher

    async def put(self, namespace: str, key: str, value: str, description: str | None) -> Resource:
        """Sets a secret; answers what may be known of it. Raises `not-configured` without a key to encrypt with."""
        ciphertext = self._cipher.encrypt(namespace, key, value)
        (row,) = await self._entries.put(namespace, key, ciphertext, description)
        return secret_resource(row)

    async def reveal(self, namespace: str, key: str) -> str:
        """The secret itself, for what flows render. Raises `secret-not-found` and `not-configured`."""
        row = await self._entries.get(namespace, key)
        return self._cipher.decrypt(namespace, key, row["ciphertext"])

    async def reencrypt(self) -> tuple[int, int]:
        """Encrypts with the newest key what was encrypted with a former one; answers how many that were, of how many.

        Raises `not-configured` at the first that no key fits; what was done before stays done.
        """
        changed, seen, last = 0, 0, ("", "")
        while rows := await self._entries.fetch("secrets_after", *last, _AT_ONCE):
            for row in rows:
                last = (row["namespace"], row["key"])
                changed += await self._reencrypt(*last, row["ciphertext"])
            seen += len(rows)
        return changed, seen

    async def _reencrypt(self, namespace: str, key: str, ciphertext: str) -> bool:
        if self._cipher.is_current(ciphertext):
            return False
        anew = self._cipher.encrypt(namespace, key, self._cipher.decrypt(namespace, key, ciphertext))
        return bool(await self._entries.fetch("reencrypt_secret", namespace, key, ciphertext, anew))
