"""Claims that take long."""

import itertools

import pytest

from tests.services import Rpc, running_service

FAST = 0.0
REQUESTED_TO_START = 10.0
POLL = "awf.task/poll"


@pytest.mark.parametrize(
    ("seconds", "actions"), [(FAST, [POLL]), (REQUESTED_TO_START + 1, [POLL, "awf.task/release", POLL])]
)
async def test_what_took_longer_to_claim_than_to_time_out_is_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, actions: list[str]
) -> None:
    async with running_service(database_url) as server, Rpc(server.url) as rpc:
        await rpc.call("awf.task/create-and-execute", id="t1", definition="test/task")
        times = itertools.chain([0.0], itertools.repeat(seconds))  # only the first claim takes so long
        monkeypatch.setattr(server.services.dispatcher._claims, "_clock", lambda: next(times))
        polled = await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], timeout=30_000)
        assert [task["id"] for task in polled.result["resources"]] == ["t1"]
        seen = (await rpc.call("awf.task/status", id="t1", **{"include-log?": True})).result
        assert [line["action"] for line in seen["log"][1:]] == actions
