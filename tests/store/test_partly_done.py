"""Calls share a flush, and some of them are done when the database refuses the others."""

from typing import Any

import pytest

from taskrpc.store.creations import Creations
from taskrpc.store.loan import unavailable
from taskrpc.store.transitions import Transitions
from tests.services import Rpc, running_service

NAMES = ("free/task", "limited/task")


def _refused_once(patch: pytest.MonkeyPatch, carries_out: type, name: str) -> None:
    """The second transaction of a flush is refused, the first time."""
    refusals = [unavailable("The disk is full")]
    really = getattr(carries_out, name)

    async def refused_once(self: Any, elements: Any) -> Any:
        if elements and refusals:
            raise refusals.pop()
        return await really(self, elements)

    patch.setattr(carries_out, name, refused_once)


async def test_of_what_is_done_nobody_hears_that_it_is_not(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_service(database_url) as server, Rpc(server.url) as rpc:
        await rpc.call("awf.definition/put", id=NAMES[1], concurrencyLimit=2)
        _refused_once(monkeypatch, Creations, "_create_limited")
        creates = [{"method": "awf.task/create-and-execute", "params": {"definition": name}} for name in NAMES]
        created = (await rpc.post(creates)).body
        assert [answer["result"]["resource"]["status"] for answer in created] == ["ready", "ready"]
        tasks = (await rpc.call("awf.task/poll", taskDefinitions=NAMES, maxBatchSize=2, start=True)).result["resources"]
        _refused_once(monkeypatch, Transitions, "_run_limited")
        ends = [{"method": "awf.task/success", "params": {"id": t["id"], "execId": t["execId"]}} for t in tasks]
        ended = (await rpc.post(ends)).body
        assert [answer["result"]["resource"]["outcome"] for answer in ended] == ["succeeded", "succeeded"]
