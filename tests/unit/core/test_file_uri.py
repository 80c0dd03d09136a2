"""URIs of stored files, and what grants allow."""

from datetime import UTC, datetime

import pytest

from taskrpc.core.file_uri import path_of, uri_of
from taskrpc.core.grant import Grant


@pytest.mark.parametrize("path", ["a", "a/b c", "größe/%41", "a?b#c"])
def test_a_uri_names_one_path(path: str) -> None:
    assert path_of(uri_of(path)) == path
    assert uri_of(path).isascii()


@pytest.mark.parametrize("uri", ["file:///a", "kestra://a", "kestra:///", "kestra:///a/../b", "kestra:///%FF", "a"])
def test_a_uri_of_nothing_here_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"storage|path|UTF-8"):
        path_of(uri)


@pytest.mark.parametrize(
    ("path", "read", "write"),
    [
        ("e/1/in", True, False),
        ("e/1/out/x", True, True),
        ("e/1", False, False),
        ("e/12/in", False, False),
        ("cache", True, False),
        ("cache/x", False, False),
        ("own", True, True),
    ],
)
def test_a_grant_allows_what_it_lists(path: str, read: bool, write: bool) -> None:
    grant = Grant(["e/1/", "cache"], ["e/1/out/", "own"], datetime.now(UTC))
    assert (grant.allows(path, write=False), grant.allows(path, write=True)) == (read, write)
