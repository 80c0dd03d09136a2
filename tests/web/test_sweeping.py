"""Connections whose deadlines are watched: thousands of them must not hold up a call."""

import asyncio

import pytest

from taskrpc.web import sweeping


class _Connection:
    def __init__(self, swept: list["_Connection"]) -> None:
        self._swept = swept

    def sweep(self, _: float) -> None:
        self._swept.append(self)


async def test_others_have_their_turn_while_thousands_of_connections_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0)
    swept: list[_Connection] = []
    connections = {_Connection(swept) for _ in range(2000)}
    looking = asyncio.ensure_future(sweeping.sweep_connections(connections))
    seen_by_others = set()
    async with asyncio.timeout(10):
        while len(swept) < len(connections):
            await asyncio.sleep(0)
            seen_by_others.add(len(swept))
    looking.cancel()
    assert len(seen_by_others) >= 20
    assert set(swept) == connections
