"""Asynchronous workflows over REST: what comes with a submission, and what is told of one that did not end well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from taskrpc.core.json_text import JsonText
from taskrpc.core.model import Resource, Row
from taskrpc.core.timestamps import format_time
from taskrpc.errors import TaskRpcError

# As `taskrpc.submission_status` answers them.
STATUSES: Final = ("SUBMITTED", "RUNNING", "COMPLETED", "ERROR", "DROPPED")
FINISHED: Final = frozenset({"COMPLETED", "ERROR", "DROPPED"})


@dataclass(frozen=True, slots=True)
class Submission:
    """What came with a task: an id by which its caller finds it again, and whether errors are to be told in full."""

    correlation_id: str | None = None
    verbose: bool = False

    def kept(self, given: object, params: object) -> str:
        """As it is kept with the task: JSON, with the body as it was `given` where the `params` differ from it."""
        fields: dict[str, object] = {}
        if self.correlation_id is not None:
            fields["correlationId"] = self.correlation_id
        if self.verbose:
            fields["verboseErrorOutput"] = True
        if given != params:
            fields["request"] = given
        return orjson.dumps(fields).decode()


def _kept(row: Row) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = orjson.loads(row["submission"] or "{}")
    return fields


def is_verbose(row: Row) -> bool:
    """Whether errors of this task are to be told in full."""
    return bool(_kept(row).get("verboseErrorOutput"))


def request_of(row: Row) -> object:
    """The body that the task was created with."""
    kept = _kept(row)
    if "request" in kept:
        return kept["request"]
    return {} if row["params"] is None else JsonText(row["params"])


def response_of(row: Row, status: str, history: list[Resource]) -> object:
    """What a finished task has answered: its result, or `{message, details}` of what went wrong.

    `history` is its log, for those who want errors in full. Raises `task-not-finished`.
    """
    if status not in FINISHED:
        raise TaskRpcError(
            "task-not-finished", f"Task {row['id']} is {status}: ask again when it is finished", {"status": status}
        )
    if status == "COMPLETED":
        return None if row["result"] is None else JsonText(row["result"])
    details: dict[str, object] = {"status": status, "outcome": row["outcome"]}
    if row["outcome_reason"] is not None:
        details["reason"] = JsonText(row["outcome_reason"])
    details["attempts"] = row["retry_count"]
    details["createdAt"], details["endedAt"] = format_time(row["created_at"]), format_time(row["updated_at"])
    if is_verbose(row):
        details |= {"error": None if row["error"] is None else JsonText(row["error"]), "log": history}
    return {"message": _message(row), "details": details}


def _message(row: Row) -> str:
    """What went wrong, in the words of whoever knows best: the executor, else the service."""
    if row["outcome"] == "canceled":
        return f"Task {row['id']} was {'stopped' if row['stop_requested'] else 'canceled'}"
    error = orjson.loads(row["error"] or "null")
    told = error.get("message") if isinstance(error, dict) else error
    if isinstance(told, str) and told:
        return told
    reason = orjson.loads(row["outcome_reason"] or "{}")
    return str(reason.get("message", f"Task {row['id']} has failed"))
