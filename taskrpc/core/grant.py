"""Tokens for files: how they are presented, and what their bearer may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """Which files may be read and written, until when. What is listed is a path, or a prefix that ends with a slash."""

    read: Sequence[str]
    write: Sequence[str]
    expires_at: datetime

    def allows(self, path: str, *, write: bool) -> bool:
        """Whether this file may be read, or written; who may write a file may read it."""
        listed = self.write if write else (*self.read, *self.write)
        return any(path == each or (each.endswith("/") and path.startswith(each)) for each in listed)


def presented_token(headers: Mapping[bytes, bytes]) -> str | None:
    """The token that comes with a request, as `Authorization: Bearer`; None where that is a key, which has a dot."""
    scheme, _, credentials = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() != b"bearer" or b"." in credentials:
        return None
    return credentials.strip().decode("latin-1")
