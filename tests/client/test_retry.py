"""The pure parts of a call: when it is repeated, by what id the service knows it, how its answer is read."""

import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from taskrpc import TaskRpcError
from taskrpc.client.contact import Contact
from taskrpc.client.exchange import (
    Answer,
    Broken,
    Exchange,
    Pause,
    Reply,
    exchange,
    read_batch,
    read_result,
)
from taskrpc.client.request import Request
from taskrpc.client.retry import RetryPolicy

URL = "http://service.example/rpc"
OK = Reply(200, b'{"result":{"resource":{"id":"t"}}}')


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def play(course: Exchange, clock: Clock, respond: Callable[[int], Reply | Broken]) -> tuple[Answer, list[float]]:
    """Drive an exchange with prepared outcomes; its answer and the pauses it made."""
    pauses: list[float] = []
    attempts = 0
    step = next(course)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                clock.now += step.seconds
                step = course.send(None)
            else:
                attempts += 1
                step = course.send(respond(attempts))
    except StopIteration as answered:
        return answered.value, pauses


def run(respond: Callable[[int], Reply | Broken], policy: RetryPolicy | None = None) -> tuple[Answer, list[float]]:
    clock = Clock()
    return play(exchange(Contact(URL), b"{}", 0, policy or RetryPolicy(), clock), clock, respond)


def test_an_answered_call_is_sent_once() -> None:
    answer, pauses = run(lambda attempt: OK)
    assert answer.document == {"result": {"resource": {"id": "t"}}}
    assert not answer.repeated
    assert pauses == []


def test_pauses_grow_exponentially_and_are_jittered() -> None:
    outcomes: dict[int, Reply | Broken] = {
        1: Broken("reset"),
        2: Broken("reset"),
        3: Reply(503, b"{}"),
        4: Reply(504, b"{}"),
    }
    answer, pauses = run(lambda attempt: outcomes.get(attempt, OK))
    assert answer.repeated
    for pause, longest in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert longest / 2 <= pause <= longest


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    _, pauses = run(lambda attempt: Reply(503, b"{}", retry_after=7.0) if attempt == 1 else OK)
    assert pauses == [7.0]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500])
def test_a_refusal_is_never_repeated(status: int) -> None:
    refusal = Reply(status, b'{"error":{"type":"some-type","message":"No."}}')
    answer, pauses = run(lambda attempt: refusal)
    assert pauses == []
    with pytest.raises(TaskRpcError, match="some-type: No"):
        read_result(Request("awf.task/status", {}), answer)


def test_giving_up_names_the_address_and_the_reason() -> None:
    with pytest.raises(TaskRpcError) as raised:
        run(lambda attempt: Broken("connection refused"), RetryPolicy(budget=3.0))
    assert raised.value.type == "unavailable"
    assert URL in raised.value.message
    assert "connection refused" in raised.value.message


def test_the_budget_bounds_the_pauses() -> None:
    clock = Clock()
    course = exchange(Contact(URL), b"{}", 0, RetryPolicy(budget=20.0), clock)
    with pytest.raises(TaskRpcError):
        play(course, clock, lambda attempt: Broken("reset"))
    assert 15.0 < clock.now <= 20.0


def test_the_last_503_gives_its_own_error() -> None:
    reply = Reply(503, b'{"error":{"type":"unavailable","message":"The database is away."}}')
    answer, _ = run(lambda attempt: reply, RetryPolicy(budget=1.0))
    with pytest.raises(TaskRpcError, match="The database is away"):
        read_result(Request("awf.task/status", {}), answer)


def test_a_pause_without_measure_is_cut_short() -> None:
    busy = Reply(503, b"{}", retry_after=1e9)
    _, pauses = run(lambda attempt: busy if attempt == 1 else OK, RetryPolicy.persistent())
    assert pauses == [60.0]


def test_a_persistent_policy_outlasts_any_outage_and_a_defect() -> None:
    answer, pauses = run(lambda attempt: Reply(500, b"") if attempt < 500 else OK, RetryPolicy.persistent())
    assert answer.repeated
    assert max(pauses) <= 5.0


def test_an_answer_that_is_no_json_says_that_the_address_may_be_wrong() -> None:
    with pytest.raises(TaskRpcError, match="is this the service's address"):
        run(lambda attempt: Reply(404, b"<html>Not here</html>"))


def test_a_create_carries_an_id_of_its_own() -> None:
    request = Request.prepare("task/create-and-execute", {"definition": "d"})
    assert request.method == "awf.task/create-and-execute"
    assert uuid.UUID(request.params["id"]).version == 7
    assert request.made_id


def test_an_id_that_was_given_is_kept() -> None:
    request = Request.prepare("awf.task/create-and-execute", {"id": "mine"})
    assert request.params["id"] == "mine"
    assert not request.made_id


def test_a_changing_call_carries_a_call_id_and_a_reading_one_does_not() -> None:
    assert uuid.UUID(Request.prepare("awf.task/start", {"id": "t"}).params["callId"])
    assert "callId" not in Request.prepare("awf.task/status", {"id": "t"}).params
    assert "callId" not in Request.prepare("awf.task/poll", {"taskDefinitions": []}).params


@pytest.mark.parametrize(
    ("method", "params", "wait"),
    [
        ("awf.task/long-poll", {}, 60.0),
        ("awf.task/long-poll", {"timeout": 500}, 0.5),
        ("awf.task/result", {"timeout": 5000}, 5.0),
        ("awf.task/success", {"poll": {"timeout": 2000}}, 2.0),
        ("awf.task/success", {"poll": {}}, 0.0),
        ("awf.task/status", {}, 0.0),
        ("awf.task/long-poll", {"timeout": "soon"}, 0.0),
    ],
)
def test_the_time_the_server_may_hold_the_answer_back_is_known(
    method: str, params: dict[str, Any], wait: float
) -> None:
    assert Request.prepare(method, params).server_wait == wait


def already_exists(id: str) -> dict[str, Any]:
    data = {"resource": {"id": id, "status": "ready"}}
    return {"error": {"type": "task-already-exists", "message": "Taken.", "data": data}}


def test_a_repeated_create_that_meets_itself_has_succeeded() -> None:
    request = Request.prepare("awf.task/create-and-execute", {"definition": "d"})
    id = request.params["id"]
    assert read_result(request, Answer(already_exists(id), repeated=True)) == {
        "resource": {"id": id, "status": "ready"}
    }


def test_a_first_create_that_meets_another_has_failed() -> None:
    request = Request.prepare("awf.task/create-and-execute", {"definition": "d"})
    with pytest.raises(TaskRpcError, match="task-already-exists"):
        read_result(request, Answer(already_exists(request.params["id"]), repeated=False))


def test_a_repeated_create_with_an_id_of_the_caller_may_have_met_somebody_elses() -> None:
    request = Request.prepare("awf.task/create-and-execute", {"definition": "d", "id": "mine"})
    with pytest.raises(TaskRpcError, match="task-already-exists"):
        read_result(request, Answer(already_exists("mine"), repeated=True))


def test_a_batch_gives_each_entry_its_own_end() -> None:
    requests = [Request("awf.task/status", {}), Request("awf.task/status", {})]
    error = {"error": {"type": "task-not-found", "message": "No such task.", "data": {"id": "x"}}}
    first, second = read_batch(requests, Answer([{"result": {"a": 1}}, error], repeated=False))
    assert first == {"a": 1}
    assert isinstance(second, TaskRpcError)
    assert (second.type, second.data) == ("task-not-found", {"id": "x"})


def test_a_batch_refused_as_a_whole_raises() -> None:
    refusal = Answer({"error": {"type": "unauthorized", "message": "Who are you?"}}, repeated=False)
    with pytest.raises(TaskRpcError, match="Who are you"):
        read_batch([Request("awf.task/status", {})], refusal)


@pytest.mark.parametrize("document", [None, 17, {}, {"result": 5}, [{"result": {}}], {"error": "no"}])
def test_a_document_that_is_no_answer_is_told_apart(document: object) -> None:
    with pytest.raises(TaskRpcError, match="not an answer of the service"):
        read_result(Request("awf.task/status", {}), Answer(document, repeated=False))


def test_an_outage_is_logged_once_however_many_calls_run_into_it(caplog: pytest.LogCaptureFixture) -> None:
    contact = Contact(URL, logging.WARNING)
    outcomes: dict[int, Reply | Broken] = {1: Broken("Connection refused"), 2: Reply(503, b"{}")}

    def course() -> Exchange:
        return exchange(contact, b"{}", 0, RetryPolicy(), Clock())

    with caplog.at_level(logging.INFO, "taskrpc.client"):
        calls = [course(), course()]
        for call in calls:
            next(call)
            assert isinstance(call.send(Broken("Connection refused")), Pause)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert caplog.messages == [f"{URL} is not available: Connection refused; trying until it is"]
        play(course(), Clock(), lambda attempt: outcomes.get(attempt, OK))
        play(course(), Clock(), lambda attempt: OK)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[-1] == f"{URL} is available again"
