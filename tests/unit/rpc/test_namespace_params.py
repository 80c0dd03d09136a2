"""Params that have a size."""

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.rpc import batch
from taskrpc.rpc.registry import find

assert batch  # entering the methods into the table is its doing


def test_a_secret_has_a_size_and_is_not_shown() -> None:
    put = find("secret/put")
    largest = "ä" * 32 * 1024
    assert largest not in repr(put.parse({"namespace": "n", "key": "k", "value": largest}))
    with pytest.raises(TaskRpcError, match=r"value: a secret has at most 65536 bytes$"):
        put.parse({"namespace": "n", "key": "k", "value": largest + "a"})
