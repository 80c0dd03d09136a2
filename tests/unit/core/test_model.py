"""Resources made from rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrpc.core.json_text import JsonText
from taskrpc.core.model import answered_row, log_resource, resource_type, task_resource

AT = datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
NOTHING = [
    "label", "outcome", "exec_id", "execute_at", "lease_at", "params", "result", "error", "outcome_reason", "requester",
    "progress", "feedback", "call_at", "call_version", "submission", "state",
]  # fmt: skip
ROW: dict[str, Any] = {
    **dict.fromkeys(NOTHING), "id": "t1", "kind": "task", "name": "test/task", "status": "ready", "rank": 0,
    "retry_count": 0, "created_at": AT, "updated_at": AT + timedelta(seconds=1), "version": 3, "run_timeout": 120000,
}  # fmt: skip
META = {"createdAt": "2030-01-02T03:04:05.000006Z", "lastUpdated": "2030-01-02T03:04:06.000006Z", "versionId": "3"}


def _row(**values: Any) -> dict[str, Any]:
    return {**ROW, **values}


def test_absent_values_are_left_out() -> None:
    assert task_resource(ROW) == {
        "id": "t1",
        "resourceType": "AidboxTask",
        "status": "ready",
        "definition": "test/task",
        "meta": META,
    }


def test_everything_that_is_there_is_shown() -> None:
    row = _row(
        status="in-progress", label="l", exec_id="e", retry_count=2, rank=-5, execute_at=AT, lease_at=AT,
        params="{}", result="1", error="null", outcome_reason="{}", requester="{}", progress="{}", feedback="[]",
    )  # fmt: skip
    assert task_resource(row) == {
        "id": "t1", "resourceType": "AidboxTask", "status": "in-progress", "definition": "test/task", "label": "l",
        "execId": "e", "retryCount": 2, "priority": 5, "executeAt": META["createdAt"], "inProgressTimeout": 120000,
        "inProgressTimeoutAt": META["createdAt"], "params": JsonText("{}"), "result": JsonText("1"),
        "error": JsonText("null"), "outcomeReason": JsonText("{}"), "requester": JsonText("{}"),
        "progress": JsonText("{}"), "feedback": JsonText("[]"), "meta": META,
    }  # fmt: skip


def test_what_was_submitted_with_a_correlation_id_shows_it() -> None:
    assert task_resource(_row(submission='{"correlationId":"c1"}'))["correlationId"] == "c1"
    assert "correlationId" not in task_resource(_row(submission="{}"))


@pytest.mark.parametrize("status", ["waiting", "ready", "requested", "in-progress", "done"])
def test_a_task_that_waits_or_is_ready_shows_no_execution(status: str) -> None:
    row = _row(status=status, exec_id="e", lease_at=AT, outcome="failed" if status == "done" else None)
    assert ("execId" in task_resource(row)) == (status not in ("waiting", "ready"))
    assert ("inProgressTimeoutAt" in task_resource(row)) == (status == "in-progress")


def test_a_decision_names_its_workflow() -> None:
    resource = task_resource(_row(kind="decision"))
    assert (resource["definition"], resource["workflow-definition"]) == ("awf.workflow/decision-task", "test/task")
    assert resource["resourceType"] == "AidboxTask"


def test_workflows_have_a_type_of_their_own() -> None:
    assert [resource_type(kind) for kind in ("task", "decision", "workflow")] == [
        "AidboxTask",
        "AidboxTask",
        "AidboxWorkflow",
    ]


def test_a_repeated_call_is_answered_with_the_row_that_it_left() -> None:
    assert answered_row(ROW) is ROW
    same = _row(call_at=AT, call_version=3)
    assert answered_row(same) is same
    due_since = _row(call_at=AT, call_version=2)
    assert answered_row(due_since) == _row(
        call_at=AT, call_version=2, version=2, status="waiting", updated_at=AT
    )  # fmt: skip


def test_an_entry_of_the_log() -> None:
    entry = {
        "task_id": "t1", "seq": 7, "kind": "task", "at": AT, "action": "awf.task/fail", "status_before": "in-progress",
        "status_after": "waiting", "re_scheduled": True, "exec_id": "e", "params": '{"error":1}',
    }  # fmt: skip
    assert log_resource(entry) == {
        "id": "t1.7",
        "resourceType": "AidboxTaskLog",
        "subject": {"id": "t1", "resourceType": "AidboxTask"},
        "action": "awf.task/fail",
        "action-params": {"id": "t1", "execId": "e", "error": 1},
        "status-before": "in-progress",
        "status-after": "waiting",
        "re-scheduled": True,
        "meta": {"createdAt": META["createdAt"]},
    }
    bare = {**entry, **dict.fromkeys(["status_before", "status_after", "exec_id", "params"]), "re_scheduled": False}
    assert log_resource({**bare, "kind": "workflow"}) == {
        "id": "t1.7",
        "resourceType": "AidboxTaskLog",
        "subject": {"id": "t1", "resourceType": "AidboxWorkflow"},
        "action": "awf.task/fail",
        "action-params": {"id": "t1"},
        "meta": {"createdAt": META["createdAt"]},
    }
