"""URIs of files in the internal storage: `kestra:///` and a path, percent-encoded. URIs travel, not contents."""

from typing import Final
from urllib.parse import quote, unquote

from taskrpc.core.names import check_path

PREFIX: Final = "kestra:///"


def uri_of(path: str) -> str:
    """The URI of a path."""
    return PREFIX + quote(path)


def path_of(uri: str) -> str:
    """The path that a URI names; raises ValueError with a sentence for another URI."""
    if not uri.startswith(PREFIX):
        raise ValueError(f"a file of the internal storage is like {PREFIX}path, not {uri[:80]!r}")
    try:
        return check_path(unquote(uri.removeprefix(PREFIX), errors="strict"))
    except UnicodeDecodeError:
        raise ValueError(f"{uri[:80]!r} is not UTF-8") from None
