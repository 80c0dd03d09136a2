"""The target itself: harm that bad input does must not go unnoticed."""

import asyncio
import logging

import pytest

from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("method", ["awf.task/create-and-execute", "awf.definition/put"])
async def test_a_change_is_noticed(method: str, target: Target) -> None:
    params = {"definition": "test/noticed"} if "task" in method else {"id": "test/noticed"}
    with pytest.raises(AssertionError, match="something was changed"):
        await target.refusal({"method": method, "params": params})


async def test_an_error_in_the_log_is_noticed(target: Target) -> None:
    with pytest.raises(AssertionError, match="out of order"):
        async with target.unharmed():
            logging.getLogger("taskrpc.anything").error("out of order")
    target.complaints.clear()


async def test_an_answer_that_does_not_come_is_noticed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.web.target.ANSWER_SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        async with target.unharmed():
            await asyncio.Event().wait()
