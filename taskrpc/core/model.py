"""Resources as clients see them, made from rows: absent values are left out, documents stay text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from taskrpc.core.json_text import JsonText
from taskrpc.core.timestamps import format_time

Row = Mapping[str, Any]
Resource = dict[str, object]
Queue = tuple[str, str]  # kind and name: what polls ask for

DECISION_TASK: Final = "awf.workflow/decision-task"
_HAS_EXEC_ID: Final = frozenset({"requested", "in-progress", "done"})
_DOCUMENTS: Final = (
    ("params", "params"),
    ("result", "result"),
    ("error", "error"),
    ("outcomeReason", "outcome_reason"),
    ("requester", "requester"),
    ("progress", "progress"),
    ("feedback", "feedback"),
)


def resource_type(kind: str) -> str:
    """`AidboxWorkflow` for the kind workflow, else `AidboxTask`."""
    return "AidboxWorkflow" if kind == "workflow" else "AidboxTask"


def meta_of(row: Row) -> Resource:
    """`meta`: when what a row keeps was created and changed last, and its version."""
    return {
        "createdAt": format_time(row["created_at"]),
        "lastUpdated": format_time(row["updated_at"]),
        "versionId": str(row["version"]),
    }


def _correlation(submission: str) -> Resource:
    """The id that whoever submitted it over REST finds it by."""
    given = orjson.loads(submission).get("correlationId")
    return {} if given is None else {"correlationId": given}


def task_resource(row: Row) -> Resource:
    """The resource of a row of the table task (and `run_timeout` of its definition where a task is in progress)."""
    status: str = row["status"]
    kind: str = row["kind"]
    resource: Resource = {"id": row["id"], "resourceType": resource_type(kind), "status": status}
    if kind == "decision":
        resource |= {"definition": DECISION_TASK, "workflow-definition": row["name"]}
    else:
        resource["definition"] = row["name"]
    for key in ("label", "outcome", "state"):
        if row[key] is not None:
            resource[key] = row[key]
    if status in _HAS_EXEC_ID and row["exec_id"] is not None:
        resource["execId"] = row["exec_id"]
    if row["retry_count"]:
        resource["retryCount"] = row["retry_count"]
    if row["rank"]:
        resource["priority"] = -row["rank"]
    if row["execute_at"] is not None:
        resource["executeAt"] = format_time(row["execute_at"])
    if status == "in-progress" and row["lease_at"] is not None:
        resource["inProgressTimeout"] = row["run_timeout"]
        resource["inProgressTimeoutAt"] = format_time(row["lease_at"])
    if row["submission"] is not None:
        resource |= _correlation(row["submission"])
    for key, column in _DOCUMENTS:
        if (document := row[column]) is not None:
            resource[key] = JsonText(document)
    resource["meta"] = meta_of(row)
    return resource


def kept_task(document: str) -> Resource:
    """The resource of a task whose row was kept as JSON, with its documents parsed."""
    row = orjson.loads(document)
    times = {key: datetime.fromisoformat(row[key]) for key in row if key.endswith("_at") and row[key] is not None}
    texts = {column: orjson.dumps(row[column]).decode() for _, column in _DOCUMENTS if row[column] is not None}
    resource = task_resource({**row, **times, **texts})
    return {key: orjson.loads(value.text) if isinstance(value, JsonText) else value for key, value in resource.items()}


def answered_row(row: Row) -> Row:
    """The row as the last call left it, for the answer to a repeat.

    Only time can have moved the task since (a failed one became due again); any call would be the last one itself.
    """
    call_at: datetime | None = row["call_at"]
    if call_at is None or row["version"] == row["call_version"]:
        return row
    return {**row, "status": "waiting", "version": row["call_version"], "updated_at": call_at}


def log_resource(row: Row) -> Resource:
    """`AidboxTaskLog` of a row of the table log."""
    params: Resource = {"id": row["task_id"]}
    if row["exec_id"] is not None:
        params["execId"] = row["exec_id"]
    if row["params"] is not None:
        params |= orjson.loads(row["params"])
    resource: Resource = {
        "id": f"{row['task_id']}.{row['seq']}",
        "resourceType": "AidboxTaskLog",
        "subject": {"id": row["task_id"], "resourceType": resource_type(row["kind"])},
        "action": row["action"],
        "action-params": params,
    }
    for key, column in (("status-before", "status_before"), ("status-after", "status_after")):
        if row[column] is not None:
            resource[key] = row[column]
    if row["re_scheduled"]:
        resource["re-scheduled"] = True
    resource["meta"] = {"createdAt": format_time(row["at"])}
    return resource
