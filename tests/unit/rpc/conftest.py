"""A table of methods of the tests' own."""

import pytest

from taskrpc.rpc import registry


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Method]:
    """The table, empty for the length of a test."""
    empty: dict[str, registry.Method] = {}
    monkeypatch.setattr(registry, "_METHODS", empty)
    return empty
