"""The envelope: plain and strict calls, batches, and the answers to all of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrpc.errors import TaskRpcError
from taskrpc.wire.envelope import ABSENT, Answer, BadCall, Call, Request, failure, parse, respond, success, unparsable

STRICT = {"jsonrpc": "2.0", "method": "m"}
NOT_FOUND = TaskRpcError("task-not-found", "there is no task a", {"id": "a"})


def only(body: object) -> Call | BadCall:
    request = parse(body)
    assert not request.is_batch
    (call,) = request.calls
    return call


def refused(body: object) -> BadCall:
    call = only(body)
    assert isinstance(call, BadCall)
    return call


def answer(body: object, result: object = "done") -> tuple[int, object]:
    """What goes back when each proper call has the same result."""
    request = parse(body)
    answers = [success(call, result) if isinstance(call, Call) else failure(call, call.error) for call in request.calls]
    return respond(request, answers)


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ({"method": "m"}, Call("m", {}, ABSENT, strict=False)),
        ({"method": "m", "params": None, "id": None}, Call("m", {}, None, strict=False)),
        ({"method": "m", "params": {"a": 1}, "id": 1.5}, Call("m", {"a": 1}, 1.5, strict=False)),
        ({**STRICT, "id": "x"}, Call("m", {}, "x", strict=True)),
        ({"jsonrpc": 2.0, "method": "m", "id": 7}, Call("m", {}, 7, strict=True)),
    ],
)
def test_a_mapping_is_a_call(body: object, call: Call) -> None:
    assert only(body) == call


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "method is missing; it must be a text such as"),
        ({"method": None}, "method is null"),
        ({"method": ""}, "method is empty"),
        ({"method": ["m"]}, "method is a list"),
        ({"method": "m", "params": [1]}, "params must be a mapping, not a list"),
        ({"method": "m", "params": "a"}, "params must be a mapping, not a text"),
        ({**STRICT, "params": 1}, "params must be a mapping, not a number"),
        ({"method": "m", "parameters": {}}, 'the key "parameters" is unknown'),
        ({**STRICT, "session": 1}, 'the key "session" is unknown'),
        ({"method": "m", "k" * 500: 1}, f'the key "{"k" * 80}…" is unknown'),
        ({"method": "m", "jsonrpc": "1.0"}, 'jsonrpc must be "2.0"'),
        ({"method": "m", "jsonrpc": 2}, 'jsonrpc must be "2.0"'),
        ({"method": "m", "jsonrpc": None}, 'jsonrpc must be "2.0"'),
        ({"method": "m", "id": True}, "id must be a text, a number or null, not a boolean"),
        ({"method": "m", "id": {}}, "id must be a text, a number or null, not a mapping"),
    ],
)
def test_an_improper_call_is_an_invalid_request(body: object, message: str) -> None:
    bad = refused(body)
    assert bad.error.type == "invalid-request"
    assert message in bad.error.message


@pytest.mark.parametrize("body", [None, True, 1, 1.5, "method: m", [], [{"method": "m"}] * 1001])
def test_a_body_that_is_neither_a_call_nor_a_batch_is_an_invalid_request(body: object) -> None:
    with pytest.raises(TaskRpcError) as caught:
        parse(body)
    assert caught.value.type == "invalid-request"


def test_params_by_position_are_invalid_params() -> None:
    bad = refused({**STRICT, "id": 1, "params": [1, 2]})
    assert bad.error.type == "invalid-params"
    assert bad.error.data == {
        "errors": [{"path": "params", "message": "must be a mapping; params by position are not supported"}]
    }


def test_an_improper_call_keeps_its_id_if_that_is_proper() -> None:
    assert refused({"method": "", "id": 3}).id == 3
    assert refused({"method": "", "id": []}).id is ABSENT


def test_the_id_is_echoed_only_where_it_was_given() -> None:
    assert answer({"method": "m"}) == (200, {"result": "done"})
    assert answer({"method": "m", "id": None}) == (200, {"result": "done", "id": None})
    assert answer({"method": "m", "id": "x"}) == (200, {"result": "done", "id": "x"})


def test_a_plain_error_has_its_type_its_data_and_its_http_status() -> None:
    request = parse({"method": "m", "id": 1})
    assert respond(request, [failure(request.calls[0], NOT_FOUND)]) == (
        404,
        {"error": {"type": "task-not-found", "message": "there is no task a", "data": {"id": "a"}}, "id": 1},
    )
    status, body = answer({"method": "", "id": 1})
    assert status == 400
    assert isinstance(body, dict)
    assert list(body["error"]) == ["type", "message"]


def test_a_strict_call_is_answered_as_json_rpc_has_it() -> None:
    request = parse({**STRICT, "id": 1})
    (call,) = request.calls
    assert answer({**STRICT, "id": None}) == (200, {"jsonrpc": "2.0", "result": "done", "id": None})
    assert respond(request, [failure(call, NOT_FOUND)]) == (
        200,
        {
            "jsonrpc": "2.0",
            "error": {
                "code": -32000,
                "message": "there is no task a",
                "data": {"type": "task-not-found", "id": "a"},
            },
            "id": 1,
        },
    )


@pytest.mark.parametrize(
    ("type", "code"),
    [
        ("unparsable-body", -32700),
        ("invalid-request", -32600),
        ("method-not-found", -32601),
        ("invalid-params", -32602),
        ("internal-error", -32603),
        ("wrong-status", -32000),
    ],
)
def test_a_strict_error_has_the_code_of_its_type(type: str, code: int) -> None:
    given = failure(Call("m", {}, 1, strict=True), TaskRpcError(type, "no", {"type": "hidden", "a": 1}))
    assert given is not None
    assert given.body["error"] == {"code": code, "message": "no", "data": {"type": type, "a": 1}}


def test_a_notification_gets_no_answer_whatever_comes_of_it() -> None:
    call = Call("m", {}, ABSENT, strict=True)
    assert call.is_notification
    assert success(call, 1) is None
    assert failure(call, NOT_FOUND) is None
    assert failure(call, TaskRpcError("invalid-request", "no")) is None
    assert answer(STRICT) == (204, None)
    assert answer({**STRICT, "params": [1]}) == (204, None)
    assert answer([STRICT, STRICT]) == (204, None)


def test_a_plain_call_without_an_id_is_no_notification() -> None:
    assert not Call("m", {}, ABSENT, strict=False).is_notification


def test_what_is_no_request_is_answered_with_a_null_id() -> None:
    status, body = answer({"jsonrpc": "2.0"})
    assert status == 200
    assert isinstance(body, dict)
    assert body["id"] is None
    assert body["error"]["code"] == -32600


def test_each_entry_of_a_batch_is_answered_in_its_place_and_form() -> None:
    status, body = answer([{"method": "m"}, {**STRICT, "id": 1}, {"method": 1, "id": 2}, STRICT, {"jsonrpc": "2.0"}])
    assert status == 200
    assert isinstance(body, list)
    assert body[:2] == [{"result": "done"}, {"jsonrpc": "2.0", "result": "done", "id": 1}]
    assert body[2]["error"]["type"] == "invalid-request"
    assert body[2]["id"] == 2
    assert body[3]["error"]["code"] == -32600
    assert len(body) == 4


def test_a_batch_of_one_is_answered_with_a_list() -> None:
    assert answer([{"method": "m"}]) == (200, [{"result": "done"}])


def test_an_entry_that_is_no_mapping_is_answered_in_the_form_of_its_neighbours() -> None:
    def forms(body: object) -> list[bool]:
        return [call.strict for call in parse(body).calls]

    assert forms([1, {**STRICT, "id": 1}, "a"]) == [True, True, True]
    assert forms([1, {"method": "m"}, [], None]) == [False, False, False, False]


def test_a_body_without_calls_is_answered_plainly_with_the_status_of_its_error() -> None:
    error = TaskRpcError("unparsable-body", "no", {"line": 1, "column": 2})
    body: dict[str, object] = {"error": {"type": "unparsable-body", "message": "no", "data": {"line": 1, "column": 2}}}
    assert unparsable(error) == Answer(body, 400)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "m", "2.0"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["method", "params", "id", "jsonrpc", "other"]), inner)
    ),
)


@settings(deadline=None)
@given(ANYTHING)
def test_any_value_is_parsed_and_answered_or_refused_as_a_whole(value: Any) -> None:
    outcome = parse_or_refuse(value)
    if isinstance(outcome, TaskRpcError):
        assert outcome.type == "invalid-request"
        return
    assert len(outcome.calls) == (len(value) if isinstance(value, list) else 1)
    status, body = answer(value)
    assert (status == 204) == (body is None)


def parse_or_refuse(value: object) -> Request | TaskRpcError:
    try:
        return parse(value)
    except TaskRpcError as refusal:
        return refusal


def test_the_absent_id_shows_itself() -> None:
    assert repr(Call("m", {}, ABSENT, strict=False)) == "Call(method='m', params={}, id=ABSENT, strict=False)"
