"""Encryption of secrets at rest: Fernet (AES-128-CBC with HMAC-SHA256), under keys that can be changed.

What is encrypted names the secret that it belongs to, so that a row's ciphertext is of no use in another row.
"""

from collections.abc import Sequence

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from taskrpc.errors import TaskRpcError


def new_key() -> str:
    """A fresh key: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


def _not_configured(message: str) -> TaskRpcError:
    return TaskRpcError("not-configured", message)


class Cipher:
    """Encrypts with the first of its keys and decrypts with whichever fits; without keys it refuses."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises `not-configured` for a key that is none; it is not repeated in the message."""
        self._fernets = [_fernet(number, key) for number, key in enumerate(keys, 1)]

    def encrypt(self, namespace: str, key: str, value: str) -> str:
        """The ciphertext of a secret's value; raises `not-configured` without keys."""
        return self._all().encrypt(orjson.dumps([namespace, key, value])).decode()

    def decrypt(self, namespace: str, key: str, ciphertext: str) -> str:
        """The value; raises `not-configured` if no key fits, or if it was encrypted for another secret."""
        try:
            owner, name, value = orjson.loads(self._all().decrypt(ciphertext.encode()))
        except InvalidToken:
            owner, name, value = None, None, ""
        if (owner, name) != (namespace, key):
            raise _not_configured(
                f"The secret {key!r} of {namespace!r} cannot be decrypted with the keys of this server: add the key "
                "that it was encrypted with to TASKRPC_SECRET_KEY, or put the secret again"
            )
        return str(value)

    def is_current(self, ciphertext: str) -> bool:
        """Whether the first key was used."""
        self._all()
        try:
            self._fernets[0].decrypt(ciphertext.encode())
        except InvalidToken:
            return False
        return True

    def _all(self) -> MultiFernet:
        if not self._fernets:
            raise _not_configured(
                "This server has no key for secrets: set TASKRPC_SECRET_KEY (taskrpc secrets new-key makes one)"
            )
        return MultiFernet(self._fernets)


def _fernet(number: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise _not_configured(
            f"Key {number} for secrets is not 32 bytes in URL-safe base64; make one with: taskrpc secrets new-key"
        ) from None
