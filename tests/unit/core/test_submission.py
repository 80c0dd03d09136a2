"""What is kept of a submission, and what is told of one that did not end well."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from taskrpc.core.json_text import JsonText
from taskrpc.core.submission import Submission, is_verbose, request_of, response_of
from taskrpc.errors import TaskRpcError

TIME = datetime(2026, 5, 4, 15, 30, 43, tzinfo=UTC)
TIMES = {"createdAt": "2026-05-04T15:30:43.000000Z", "endedAt": "2026-05-04T15:30:43.000000Z"}


def row(**columns: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("params", "result", "error", "outcome_reason", "submission", "outcome"))
    times = {"created_at": TIME, "updated_at": TIME}
    return {"id": "t1", "retry_count": 1, "stop_requested": False, **blank, **times, **columns}


def test_the_body_is_kept_only_where_the_params_differ_from_it() -> None:
    assert orjson.loads(Submission().kept({"a": 1}, {"a": 1})) == {}
    assert orjson.loads(Submission("c", verbose=True).kept({"a": 1}, {"a": 1, "b": 2})) == {
        "correlationId": "c",
        "verboseErrorOutput": True,
        "request": {"a": 1},
    }


@pytest.mark.parametrize(("columns", "request_body"), [
    ({"params": '{"a": 1}'}, JsonText('{"a": 1}')),
    ({"params": '{"a": 1}', "submission": '{"request": {}}'}, {}),
    ({}, {}),
])  # fmt: skip
def test_the_request_is_the_body_as_it_was_sent(columns: dict[str, Any], request_body: object) -> None:
    assert request_of(row(**columns)) == request_body


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNING"])
def test_there_is_no_response_before_the_end(status: str) -> None:
    with pytest.raises(TaskRpcError, match="task-not-finished"):
        response_of(row(), status, [])


def test_the_response_of_what_is_completed_is_its_result() -> None:
    assert response_of(row(result="[1]"), "COMPLETED", []) == JsonText("[1]")
    assert response_of(row(), "COMPLETED", []) is None


@pytest.mark.parametrize(("columns", "message"), [
    ({"outcome": "canceled"}, "Task t1 was canceled"),
    ({"outcome": "canceled", "stop_requested": True}, "Task t1 was stopped"),
    ({"outcome": "failed", "error": '{"message": "no memory"}'}, "no memory"),
    ({"outcome": "failed", "error": '"no disk"'}, "no disk"),
    ({"outcome": "failed", "error": '{"code": 7}', "outcome_reason": '{"message": "Failed"}'}, "Failed"),
    ({"outcome": "failed", "error": '""', "outcome_reason": '{"message": "Failed"}'}, "Failed"),
    ({"outcome": "failed"}, "Task t1 has failed"),
])  # fmt: skip
def test_whoever_knows_best_says_what_went_wrong(columns: dict[str, Any], message: str) -> None:
    response = response_of(row(**columns), "ERROR", [])
    assert isinstance(response, dict)
    assert response["message"] == message


def test_the_details_have_the_error_and_the_log_only_where_that_was_asked_for() -> None:
    failed = {"outcome": "failed", "error": '{"message": "no"}', "outcome_reason": '{"type": "x"}'}
    details = {"status": "ERROR", "outcome": "failed", "reason": JsonText('{"type": "x"}'), "attempts": 1, **TIMES}
    assert response_of(row(**failed), "ERROR", []) == {"message": "no", "details": details}
    verbose = row(**failed, submission='{"verboseErrorOutput": true}')
    assert is_verbose(verbose)
    full = details | {"error": JsonText('{"message": "no"}'), "log": [{"action": "x"}]}
    assert response_of(verbose, "ERROR", [{"action": "x"}]) == {"message": "no", "details": full}
    dropped = response_of(row(outcome="failed", submission='{"verboseErrorOutput": true}'), "DROPPED", [])
    assert isinstance(dropped, dict)
    assert dropped["details"]["error"] is None
