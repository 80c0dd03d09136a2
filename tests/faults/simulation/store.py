"""The model of the store: what the SQL statements do, each at one moment, to rows in memory.

As in SQL an update has conditions, and a row that it left alone is judged by `core.lifecycle.judge`. Ids come from
the seed.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from taskrpc.core.definition import DefinitionSpec
from taskrpc.core.lifecycle import ALLOWED_FROM, Call, Verdict, judge, not_found
from taskrpc.core.workflow import Decision, parse_decision
from taskrpc.errors import TaskRpcError
from tests.faults.simulation.rows import Kind, Row, at

_RUNS: Final = ("requested", "in-progress")


class Store:
    """One database. `now` is its clock; nothing else knows the time."""

    def __init__(self, specs: Mapping[str, DefinitionSpec], chance: random.Random, now: Callable[[], float]) -> None:
        self.rows: dict[str, Row] = {}
        self.log: list[dict[str, Any]] = []
        self._specs = specs
        self._chance = chance
        self._now = now
        self._inboxes: dict[str, list[tuple[str, str]]] = {}

    def identifier(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def create(self, params: Mapping[str, Any], kind: Kind, call_id: str) -> Row:
        """Creates a task or a workflow; a repeat of the same call finds what it made. Raises `…-already-exists`."""
        task_id = params["id"]
        there = self.rows.get(task_id)
        if there is not None and there.create_id != call_id:
            raise TaskRpcError(f"{kind}-already-exists", "the id is taken", {"resource": there.resource()})
        if there is not None:
            return there
        wanted = params.get("executeAt")
        due_at = datetime.fromisoformat(wanted).timestamp() if wanted else None
        row = self._insert(task_id, kind, params["definition"], params.get("params"), due_at=due_at)
        row.create_id = call_id
        if kind == "workflow":
            self._inboxes[task_id] = [("workflow-init", task_id)]
        return row

    def _insert(
        self,
        task_id: str,
        kind: Kind,
        name: str,
        params: Any,
        due_at: float | None = None,
        parent_id: str | None = None,
    ) -> Row:
        due_at = due_at if due_at is not None and due_at > self._now() else None
        status = "in-progress" if kind == "workflow" else "ready" if due_at is None else "waiting"
        row = Row(task_id, kind, name, self._specs[name], params, status, self._now(), parent_id, due_at=due_at)
        row.drop_at = self._end_of_time(row)
        self.rows[task_id] = row
        self._logged(row, "create-and-execute", "created")
        return row

    def _end_of_time(self, row: Row) -> float | None:
        """When the definition's timeout ends a task that begins now."""
        timeout = row.spec.timeout if row.kind == "task" else None
        return None if timeout is None else self._now() + timeout / 1000

    def _logged(self, row: Row, action: str, before: str) -> None:
        room = "workflow" if row.kind == "workflow" else "task"
        self.log.append(
            {
                "id": f"{row.id}.{len(self.log)}",
                "subject": {"id": row.id, "resourceType": row.resource()["resourceType"]},
                "action": f"awf.{room}/{action}",
                "action-params": {"id": row.id} | ({"execId": row.exec_id} if row.exec_id else {}),
                "status-before": before,
                "status-after": row.status,
                "meta": {"createdAt": at(self._now())},
            }
        )

    def _set(self, row: Row, action: str, status: str, call_id: str | None = None, **fields: Any) -> Row:
        before, row.status, row.version = row.status, status, row.version + 1
        if action != "due":
            row.call = action if call_id is not None else None
            row.call_id, row.call_version = call_id, row.version
        for name, value in {"due_at": None, **fields}.items():
            setattr(row, name, value)
        self._logged(row, action, before)
        if status == "done" and before != "done":
            self._ended(row)
        return row

    def _ended(self, row: Row) -> None:
        """Tells the workflow that something of it is done."""
        inbox = self._inboxes.get(row.parent_id or "")
        if row.kind == "task" and inbox is not None:
            inbox.append(("task-completed", row.id))
        if row.kind == "decision" and row.outcome == "failed" and inbox is not None:
            inbox.insert(0, ("decision-failed", row.id))

    def claim(self, tasks: Sequence[str], flows: Sequence[str], most: int, start: bool, claim_id: str) -> list[Row]:
        """Hands out ready tasks and decisions, those that are due longest first."""
        wanted = {"task": tasks, "decision": flows, "workflow": ()}
        ready = [row for row in self.rows.values() if row.status == "ready" and row.name in wanted[row.kind]]
        ready.sort(key=lambda row: row.ready_at)
        status, count = ("in-progress", 1) if start else ("requested", 0)
        for row in ready[:most]:
            timeout = row.spec.inProgressTimeout if start else row.spec.requestedToStartTimeout
            times = {"due_at": self._now() + timeout / 1000, "retry_count": row.retry_count + count}
            row.exec_id = self.identifier()
            self._set(row, "poll", status, claim_id, **times)
        return ready[:most]

    def fits(self, call: Call, row: Row) -> bool:
        """The conditions of the update."""
        if call.exec_id is not None and call.exec_id != row.exec_id:
            return False
        if (row.call, row.call_id) == (call.name, call.call_id) or (
            call.name == "retry" and row.outcome == "succeeded"
        ):
            return False
        return row.kind != "workflow" and row.status in ALLOWED_FROM[call.name]

    def change(self, call: Call, params: Mapping[str, Any]) -> dict[str, Any]:
        """The resource after a call about one task; raises the TaskRpcError that refuses it."""
        row = self.rows.get(call.task_id)
        if row is None or not self.fits(call, row):
            verdict = judge(call, row.seen if row is not None and row.kind != "workflow" else None)
            assert row is not None
            assert verdict is Verdict.REPEAT
            return row.answered()
        is_decision = row.kind == "decision"
        if is_decision and call.name in ("cancel", "stop", "retry"):
            raise TaskRpcError("invalid-params", "decisions belong to their workflows")
        said = parse_decision(params.get("result")) if is_decision and call.name == "success" else Decision()
        self._carry_out(call, row, params)
        self._decide(row, said)
        return row.resource()

    def _carry_out(self, call: Call, row: Row, params: Mapping[str, Any]) -> None:
        lease = self._now() + row.spec.inProgressTimeout / 1000
        match call.name:
            case "start":
                self._set(row, "start", "in-progress", call.call_id, retry_count=row.retry_count + 1, due_at=lease)
            case "notify":
                due_at = row.due_at if row.stop_requested else lease
                self._set(row, "notify", row.status, call.call_id, due_at=due_at, stop_told=row.stop_requested)
            case "feedback":
                row.documents = {**row.documents, "feedback": params.get("feedback")}
                self._set(row, "feedback", row.status, call.call_id, due_at=row.due_at, stop_told=row.stop_requested)
            case "success":
                row.documents = {**row.documents, "result": params.get("result"), "error": None}
                outcome = "canceled" if row.stop_told else "succeeded"
                self._set(row, "success", "done", call.call_id, outcome=outcome)
            case "fail":
                self._end_attempt(row, "fail", call.call_id)
            case "release" if not row.stop_requested:
                count = row.retry_count - (row.status == "in-progress")
                self._set(row, "release", "ready", call.call_id, retry_count=count)
            case "stop" if row.status == "in-progress":
                self._set(row, "stop", "in-progress", call.call_id, due_at=row.due_at, stop_requested=True)
            case "release" | "stop" | "cancel":
                self._set(row, call.name, "done", call.call_id, outcome="canceled")
            case "retry":
                anew: dict[str, Any] = {
                    "outcome": None,
                    "exec_id": None,
                    "retry_count": 0,
                    "ready_at": self._now(),
                    "drop_at": self._end_of_time(row),
                    "documents": {},
                }
                self._set(row, "retry", "ready", call.call_id, **anew, stop_requested=False, stop_told=False)

    def _end_attempt(self, row: Row, action: str, call_id: str | None = None) -> None:
        if row.stop_requested:
            self._set(row, action, "done", call_id, outcome="canceled")
        elif row.retry_count < row.spec.allowedRetryCount:
            self._set(row, action, "waiting", call_id, due_at=self._now() + row.spec.retryDelay / 1000)
        else:
            self._set(row, action, "done", call_id, outcome="failed")

    def _decide(self, decision: Row, said: Decision) -> None:
        """The actions of a decision take effect with its success."""
        workflow_id = decision.parent_id or ""
        labels = [row.label for row in self.rows.values() if row.parent_id == workflow_id]
        for schedule in said.schedules:
            if schedule.label is None or schedule.label not in labels:
                row = self._insert(self.identifier(), "task", schedule.definition, schedule.params)
                row.parent_id, row.label = workflow_id, schedule.label
        if said.end is not None:
            self.end_workflow(workflow_id, said.end.action.rpartition("/")[2], said.end.outcome)

    def end_workflow(self, workflow_id: str, action: str, outcome: str, call_id: str | None = None) -> Row:
        """Ends a workflow; what it leaves open is canceled by the next look at inboxes."""
        row = self.rows.get(workflow_id)
        if row is None:
            raise not_found(workflow_id, "workflow")
        if row.status == "done":
            raise TaskRpcError("workflow-has-been-done", f"it is {row.outcome}", {"status": "done"})
        self._inboxes[workflow_id] = []
        return self._set(row, action, "done", call_id, outcome=outcome)

    def reap(self) -> None:
        """What time has made due, and then what it has been too long for."""
        self._reap_due()
        for row in [row for row in self.rows.values() if row.drop_at is not None and row.drop_at <= self._now()]:
            if row.status != "done":
                self._set(row, "dropped", "done", outcome="canceled" if row.stop_requested else "failed")

    def _reap_due(self) -> None:
        for row in [row for row in self.rows.values() if row.due_at is not None and row.due_at <= self._now()]:
            if row.status == "waiting":
                self._set(row, "due", "ready", ready_at=row.due_at)
            elif row.status == "requested":
                self._set(row, "requested-timeout", "ready", ready_at=self._now())
            elif row.status == "in-progress":
                self._end_attempt(row, "in-progress-timeout")

    def pump(self) -> None:
        """Turns events into decisions where none is open, and cancels what done workflows left open."""
        for workflow_id, inbox in self._inboxes.items():
            workflow = self.rows[workflow_id]
            still_open = [row for row in self.rows.values() if row.parent_id == workflow_id and row.status != "done"]
            if workflow.status == "done":
                for row in still_open:
                    self._set(row, "cancel", "done", outcome="canceled")
            elif inbox and self.may_decide(still_open):
                self._turn(workflow, *inbox.pop(0))

    def may_decide(self, still_open: Sequence[Row]) -> bool:
        """Whether the next decision of a workflow may be made, with this open in it."""
        return all(row.kind != "decision" for row in still_open)

    def _turn(self, workflow: Row, event: str, subject: str) -> None:
        if event == "decision-failed":
            self.end_workflow(workflow.id, "decision-failed", "failed")
            return
        about = {"task-id": subject} if event == "task-completed" else {}
        params = {"event": f"awf.workflow.event/{event}", **about}
        self._insert(self.identifier(), "decision", workflow.name, params, parent_id=workflow.id)

    def give_back(self, claim_id: str) -> None:
        """What a claim took whose answer nobody got."""
        for row in self.rows.values():
            if (row.call, row.call_id) == ("poll", claim_id) and row.status in _RUNS:
                self._carry_out(Call("release", row.id, self.identifier(), False, row.exec_id), row, {})
