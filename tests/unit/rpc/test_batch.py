"""Lists of calls: in order, neighbours of one method together, and only the last may wait."""

import asyncio
import logging
from typing import Any, cast

import pytest
from pydantic import BaseModel

from taskrpc.core.json_text import JsonText
from taskrpc.core.model import Resource
from taskrpc.errors import TaskRpcError
from taskrpc.rpc.batch import Answer, Entry, carry_out, carry_out_one
from taskrpc.rpc.registry import Method, method
from taskrpc.rpc.services import Context, Services

SERVICES = cast("Services", None)


class Params(BaseModel):
    n: int = 0
    poll: dict[str, Any] | None = None


class Calls:
    """Methods that note when they begin and end, and whether they may wait."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.may_wait: list[bool] = []

    def enter(
        self, name: str, *, hands_out: bool = False, in_turn: bool = False, error: Exception | None = None
    ) -> None:
        """Enters a method; it takes some turns of the loop."""

        async def handler(services: Services, context: Context, params: Params) -> Resource:
            self.noted.append(f"{name} {params.n} begins")
            self.may_wait.append(context.may_wait)
            for _ in range(3):
                await asyncio.sleep(0)
            if error is not None:
                raise error
            context.handed_out = context.handed_out or hands_out
            self.noted.append(f"{name} {params.n} ends")
            return {"n": params.n}

        method(f"awf.test/{name}", Params, hands_out=lambda _: hands_out, in_turn=in_turn)(handler)


@pytest.fixture
def calls(table: dict[str, Method]) -> Calls:
    calls = Calls()
    calls.enter("a")
    calls.enter("b")
    calls.enter("poll", hands_out=True)
    calls.enter("long-poll", hands_out=True)
    calls.enter("refused", error=TaskRpcError("wrong-status", "no"))
    calls.enter("broken", error=ZeroDivisionError("an inner secret"))
    return calls


def _entry(name: str, n: int = 0, **params: Any) -> Entry:
    return Entry(f"test/{name}", {"n": n, **params})


async def _carry_out(*entries: Entry | TaskRpcError) -> list[Answer]:
    return await carry_out(SERVICES, Context(), entries)


async def test_answers_come_in_the_order_of_the_calls(calls: Calls) -> None:
    bad = TaskRpcError("invalid-request", "no envelope")
    answers = await _carry_out(_entry("a", 1), bad, _entry("refused"), _entry("b", 2), Entry("none", {}))
    assert answers[0] == {"n": 1}
    assert answers[1] is bad
    assert [getattr(answer, "type", None) for answer in answers] == [
        None, "invalid-request", "wrong-status", None, "method-not-found",
    ]  # fmt: skip


async def test_neighbours_of_one_method_go_together_and_others_one_after_the_other(calls: Calls) -> None:
    await _carry_out(_entry("a", 1), _entry("a", 2), _entry("b", 3), _entry("a", 4))
    assert calls.noted == [
        "a 1 begins", "a 2 begins", "a 1 ends", "a 2 ends", "b 3 begins", "b 3 ends", "a 4 begins", "a 4 ends",
    ]  # fmt: skip


async def test_no_call_goes_on_when_its_batch_is_cancelled(calls: Calls) -> None:
    batch = asyncio.ensure_future(_carry_out(_entry("a", 1), _entry("a", 2)))
    for _ in range(2):
        await asyncio.sleep(0)
    assert calls.noted == ["a 1 begins", "a 2 begins"]
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls.noted == ["a 1 begins", "a 2 begins"]


async def test_what_shares_no_statement_goes_one_by_one(calls: Calls) -> None:
    calls.enter("put", in_turn=True)
    await _carry_out(_entry("put", 1), _entry("put", 2))
    assert calls.noted == ["put 1 begins", "put 1 ends", "put 2 begins", "put 2 ends"]


@pytest.mark.parametrize(
    ("entries", "may_wait"),
    [
        (["long-poll"], [True]),
        (["a", "long-poll"], [False, True]),
        (["long-poll", "a"], [False, False]),
        (["a", "b"], [False, True]),
        (["long-poll", "long-poll"], [False, False]),
        (["poll", "long-poll"], [False, False]),
        (["poll", "a", "long-poll"], [False, False, False]),
        (["a", "a", "long-poll"], [False, False, True]),
    ],
)
async def test_only_the_last_may_wait_and_only_if_nothing_was_handed_out(
    calls: Calls, entries: list[str], may_wait: list[bool]
) -> None:
    await _carry_out(*map(_entry, entries))
    assert calls.may_wait == may_wait


async def test_an_end_with_a_poll_may_wait_alone_at_the_end(calls: Calls) -> None:
    await _carry_out(_entry("a", 1), _entry("a", 2), _entry("a", 3, poll={}))
    assert calls.noted[:4] == ["a 1 begins", "a 2 begins", "a 1 ends", "a 2 ends"]
    assert calls.may_wait == [False, False, True]


async def test_a_single_call_may_wait(calls: Calls) -> None:
    assert await carry_out_one(SERVICES, Context(), _entry("long-poll", 1)) == {"n": 1}
    assert calls.may_wait == [True]


async def test_who_gets_no_answer_gets_no_task(calls: Calls) -> None:
    unanswered = [Entry("test/poll", {}, unanswered=True), Entry("test/a", {"n": 1}, unanswered=True)]
    await _carry_out(*unanswered)
    assert calls.noted == ["a 1 begins", "a 1 ends"]


async def test_a_defect_is_an_incident_that_the_log_explains(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        broken, fine = await _carry_out(_entry("broken"), _entry("a", 1))
    assert isinstance(broken, TaskRpcError)
    assert (broken.type, broken.http_status, fine) == ("internal-error", 500, {"n": 1})
    assert "secret" not in broken.message
    assert broken.data is not None
    (record,) = caplog.records
    assert record.getMessage() == f"incident {broken.data['incident']} in test/broken"
    assert record.exc_info is not None


async def test_bad_params_are_refused_without_carrying_out_anything(calls: Calls) -> None:
    (answer,) = await _carry_out(_entry("a", cast("int", "x")))
    assert isinstance(answer, TaskRpcError)
    assert (answer.type, calls.noted) == ("invalid-params", [])


@pytest.mark.usefixtures("table")
async def test_a_batch_ends_when_its_answers_have_become_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskrpc.rpc.batch.MOST_ANSWERED_BYTES", 100)

    @method("test/large", Params)
    async def large(services: Services, context: Context, params: Params) -> Resource:
        return {"resources": [{"params": JsonText("1" * 101)}], "total": 1}

    entries: list[Entry | TaskRpcError] = [
        Entry("test/large", {}),
        TaskRpcError("invalid-request", "bad before"),
        Entry("test/other", {}),
    ]
    answers = await carry_out(SERVICES, Context(), entries)
    errors = [answer.message for answer in answers[1:] if isinstance(answer, TaskRpcError)]
    assert errors[0] == "bad before"
    assert errors[1].startswith("The answers of this batch have passed 100 bytes; this call was not carried out")


async def test_the_rest_of_a_batch_is_left_when_its_caller_is_gone() -> None:
    context = Context()
    context.caller.leave()
    (answer,) = await carry_out(SERVICES, context, [Entry("test/other", {})])
    assert isinstance(answer, TaskRpcError)
    assert answer.type == "unavailable"
