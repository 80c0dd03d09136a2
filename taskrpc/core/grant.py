"""What the bearer of a token may do with files."""

from collections.abc import Sequence
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
