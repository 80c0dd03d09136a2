"""Who may call: keys, the ways in which clients present them, and what a key allows.

A key is `name.secret`; the secret has 256 random bits, so that its SHA-256 can be kept without salt or stretching.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from taskrpc.errors import TaskRpcError

Role = Literal["executor", "user", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
NAME_RULE: Final = "a name has 1 to 64 of A-Z a-z 0-9 _ -"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET_BYTES: Final = 32
_NO_DIGEST: Final = bytes(32)
_HEADERS: Final = frozenset({b"x-api-key", b"authorization"})
_NO_HEADERS: Final[Mapping[bytes, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Access:
    """What the bearer of a key may do: `definitions` are the only ones it may have to do with, None means all."""

    name: str
    role: Role
    definitions: frozenset[str] | None = None

    def check(self, definitions: Iterable[str]) -> None:
        """Raises `forbidden` for a definition that the key is not for."""
        if self.definitions is None:
            return
        for definition in definitions:
            if definition not in self.definitions:
                raise TaskRpcError("forbidden", f"Key {self.name} is not for the definition {definition[:80]!r}")

    def is_for(self, resource: Mapping[str, object]) -> bool:
        """Whether a task or workflow is of a definition that the key is for; a decision is of its workflow's."""
        definition = resource.get("workflow-definition", resource["definition"])
        return self.definitions is None or definition in self.definitions

    def check_role(self, roles: frozenset[Role], what: str) -> None:
        """Raises `forbidden` for a role that may not do something; admins may do everything."""
        if self.role != "admin" and self.role not in roles:
            needed = " or ".join(role for role in ROLES if role in roles or role == "admin")
            message = f"Key {self.name} has the role {self.role}; {what} needs the role {needed}"
            raise TaskRpcError("forbidden", message)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept."""

    access: Access
    digest: bytes


def is_name(text: str) -> bool:
    """Whether a key may have this name."""
    return _NAME.fullmatch(text) is not None


def new_key(name: str) -> str:
    """A key of this name, to be told to its owner once."""
    return f"{name}.{secrets.token_urlsafe(_SECRET_BYTES)}"


def digest_of(key: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key).digest()


def credentials(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The headers that a key may come with: what has to be kept of a request that waits."""
    if _HEADERS.isdisjoint(headers):
        return _NO_HEADERS
    return {name: headers[name] for name in _HEADERS if name in headers}


def presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that comes with a request: as `X-API-KEY`, `Authorization: Bearer`, or `Basic` with its name as the user
    and its secret, or the whole key, as the password.

    None where there is none, or none that could be one.
    """
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.strip()
    scheme, _, credentials = headers.get(b"authorization", b"").strip().partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip()
        case b"basic":
            return _password(credentials.strip())
    return None


def _password(credentials: bytes) -> bytes | None:
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
    except binascii.Error:
        return None
    if not colon:
        return None
    if b"." not in password:
        return user + b"." + password
    return password if password.startswith(user + b".") else None


def bearer_of(key: bytes | None, keys: Mapping[bytes, Key]) -> Access | None:
    """What a presented key allows, None if it is none of `keys` (by name); as slow for any wrong secret."""
    if key is None:
        return None
    known = keys.get(key.partition(b".")[0])
    digest = digest_of(key)
    is_right = hmac.compare_digest(digest, known.digest if known is not None else _NO_DIGEST)
    return known.access if known is not None and is_right else None
