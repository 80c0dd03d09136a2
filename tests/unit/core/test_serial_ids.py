"""Ids of calls and requests."""

from taskrpc.core.ids import SerialIds


def test_serial_ids_are_unique_over_makers() -> None:
    makers = [SerialIds(), SerialIds()]
    made = [make() for make in makers for _ in range(1000)]
    assert len(set(made)) == 2000
