"""Keys: what they look like, how they are presented, and whom they are for."""

import base64

import pytest

from taskrpc.core.access import ROLES, Access, Key, bearer_of, digest_of, is_name, new_key, presented
from taskrpc.errors import TaskRpcError

BASIC = b"Basic " + base64.b64encode(b"ops:ops.secret")


def test_a_key_begins_with_its_name_and_is_never_the_same() -> None:
    first, second = new_key("ops"), new_key("ops")
    assert first.startswith("ops.")
    assert first != second
    assert len(first.partition(".")[2]) >= 43, "256 bits"
    assert "." not in first.partition(".")[2]


@pytest.mark.parametrize("name", ["a", "worker-1", "A_b", "x" * 64])
def test_names_of_keys(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a:b", "x" * 65, "ä", "a\n"])
def test_what_is_no_name_of_a_key(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(("headers", "key"), [
    ({b"x-api-key": b" ops.secret "}, b"ops.secret"),
    ({b"authorization": b"Bearer ops.secret"}, b"ops.secret"),
    ({b"authorization": b"bearer  ops.secret"}, b"ops.secret"),
    ({b"authorization": BASIC}, b"ops.secret"),
    ({b"authorization": b"Basic " + base64.b64encode(b"ops:secret")}, b"ops.secret"),
    ({b"x-api-key": b"ops.secret", b"authorization": b"Bearer other"}, b"ops.secret"),
    ({}, None),
    ({b"authorization": b"Digest ops.secret"}, None),
    ({b"authorization": b"Basic ?"}, None),
    ({b"authorization": b"Basic " + base64.b64encode(b"other:ops.secret")}, None),
    ({b"authorization": b"Basic " + base64.b64encode(b"ops:")}, b"ops."),
    ({b"authorization": b"Basic " + base64.b64encode(b"ops.secret")}, None),
])  # fmt: skip
def test_a_key_is_presented_in_several_ways(headers: dict[bytes, bytes], key: bytes | None) -> None:
    assert presented(headers) == key


def test_only_the_whole_key_is_accepted() -> None:
    access = Access("ops", "admin")
    keys = {b"ops": Key(access, digest_of(b"ops.secret"))}
    assert bearer_of(b"ops.secret", keys) is access
    for wrong in (None, b"", b"ops", b"ops.", b"ops.secre", b"ops.secrets", b"other.secret", b".secret"):
        assert bearer_of(wrong, keys) is None


def test_admins_may_whatever_a_role_may() -> None:
    for roles in (frozenset(), frozenset(ROLES)):
        Access("k", "admin").check_role(roles, "this")
    with pytest.raises(TaskRpcError, match="has the role user; this needs the role executor or admin"):
        Access("k", "user").check_role(frozenset({"executor"}), "this")


def test_a_bound_key_is_for_its_definitions_only() -> None:
    Access("k", "user").check(["anything"])
    Access("k", "user", frozenset({"a", "b"})).check(["a", "b"])
    with pytest.raises(TaskRpcError, match="forbidden: Key k is not for the definition 'c'"):
        Access("k", "user", frozenset({"a", "b"})).check(["a", "c"])
