"""Every RPC as a Python method, said once; the sync and the async client only differ in what carries them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from taskrpc.client.flow_methods import FlowMethods
from taskrpc.client.namespace_methods import NamespaceMethods
from taskrpc.client.rule_methods import RuleMethods

Result = TypeVar("Result")

# Python name -> the name in `params`; names that are not here are the same on both sides.
WIRE_NAMES: Final[Mapping[str, str]] = {
    "exec_id": "execId",
    "execute_at": "executeAt",
    "task_definitions": "taskDefinitions",
    "workflow_definitions": "workflowDefinitions",
    "max_batch_size": "maxBatchSize",
    "include_settings": "include-settings?",
    "include_log": "include-log?",
    "include_activities": "include-activities?",
    "include_decisions": "include-decisions?",
    "include_task_runs": "include-task-runs?",
    "task_run_id": "taskRunId",
    "new_id": "newId",
    "include_definitions": "includeDefinitions",
    "exclude_definitions": "excludeDefinitions",
    "progress_current": "progress-current",
    "progress_total": "progress-total",
    "progress_unit": "progress-unit",
}


def wire_params(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments under their names on the wire; None means absent, times become RFC 3339."""
    given = {WIRE_NAMES.get(name, name): value for name, value in arguments.items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


class Methods(RuleMethods[Result], FlowMethods[Result], NamespaceMethods[Result]):
    """All methods, each answering the `result` of its RPC.

    So a method about one task answers `{"resource": …}`, a poll `{"resources": […]}`. Refusals, and a service
    that cannot be reached, raise `TaskRpcError`. Durations are integers in milliseconds.
    """

    @abstractmethod
    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Result:
        """Call any method by its name on the wire, with `params` as they go over the wire."""

    def create_and_execute(
        self,
        definition: str,
        params: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        label: str | None = None,
        execute_at: datetime | str | None = None,
        priority: int | None = None,
        callback: Mapping[str, Any] | None = None,
    ) -> Result:
        """Put a task into the queue; `callback` is `{"url": …, "headers": {…}}`, where its outcome is posted to.

        Without an `id` one is made here, so that a create whose answer was lost can be repeated safely; with
        one, `task-already-exists` may also mean that an earlier attempt of this call got through.
        """
        arguments = {"definition": definition, "params": params, "id": id, "label": label}
        further = {"execute_at": execute_at, "priority": priority, "callback": callback}
        return self._call("task/create-and-execute", **arguments, **further)

    def status(self, id: str, *, include_settings: bool | None = None, include_log: bool | None = None) -> Result:
        """The task as it is now, with its `phase`; its log and settings if wanted."""
        return self._call("task/status", id=id, include_settings=include_settings, include_log=include_log)

    def result(self, id: str, *, timeout: int | None = None) -> Result:
        """Wait until the task is done, at most `timeout`; answers the task as it then is."""
        return self._call("task/result", id=id, timeout=timeout)

    def cancel(self, id: str) -> Result:
        """End the task at once, whatever its executor is doing."""
        return self._call("task/cancel", id=id)

    def stop(self, id: str) -> Result:
        """Ask a running task to stop; one that does not run is canceled."""
        return self._call("task/stop", id=id)

    def retry(self, id: str) -> Result:
        """Put a failed or canceled task into the queue again, with all its attempts."""
        return self._call("task/retry", id=id)

    def list(
        self,
        *,
        include_definitions: Sequence[str] | None = None,
        exclude_definitions: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        outcome: Sequence[str] | None = None,
        ilike: str | None = None,
        sort: Mapping[str, str] | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """Tasks that fit all of the filters: `{resources, total}`; `sort` is like `{"createdAt": "desc"}`."""
        narrow = {"include_definitions": include_definitions, "exclude_definitions": exclude_definitions}
        return self._list("task", {**narrow, "status": status, "outcome": outcome, "ilike": ilike}, sort, count, page)

    def poll(
        self,
        task_definitions: Sequence[str] | None = None,
        *,
        workflow_definitions: Sequence[str] | None = None,
        max_batch_size: int | None = None,
        start: bool | None = None,
    ) -> Result:
        """Fetch tasks that are ready, each with an `execId`; with `start` they are in progress already.

        A poll whose answer was lost is simply made anew: what the lost answer held is ready again after the
        definition's `requestedToStartTimeout`.
        """
        definitions = {"task_definitions": task_definitions, "workflow_definitions": workflow_definitions}
        return self._call("task/poll", **definitions, max_batch_size=max_batch_size, start=start)

    def long_poll(
        self,
        task_definitions: Sequence[str] | None = None,
        *,
        workflow_definitions: Sequence[str] | None = None,
        max_batch_size: int | None = None,
        timeout: int | None = None,
        start: bool | None = None,
    ) -> Result:
        """Like `poll`, but wait up to `timeout` for the first task."""
        definitions = {"task_definitions": task_definitions, "workflow_definitions": workflow_definitions}
        return self._call("task/long-poll", **definitions, max_batch_size=max_batch_size, timeout=timeout, start=start)

    def start(self, id: str, exec_id: str) -> Result:
        """Begin the execution of a task that was polled."""
        return self._call("task/start", id=id, exec_id=exec_id)

    def notify(
        self,
        id: str,
        exec_id: str,
        *,
        notification: str = "awf.task/heartbeat",
        message: str | None = None,
        progress_current: int | None = None,
        progress_total: int | None = None,
        progress_unit: str | None = None,
    ) -> Result:
        """Say that the task is alive: `awf.task/heartbeat`, or `awf.task/progress` with its numbers."""
        progress = {"progress_current": progress_current, "progress_total": progress_total}
        return self._call(
            "task/notify",
            id=id,
            exec_id=exec_id,
            notification=notification,
            message=message,
            **progress,
            progress_unit=progress_unit,
        )

    def success(self, id: str, exec_id: str, result: Any = None, *, poll: Mapping[str, Any] | None = None) -> Result:
        """End the task as succeeded; with `poll` (the params of a long poll) fetch the next ones as well."""
        return self._call("task/success", id=id, exec_id=exec_id, result=result, poll=poll)

    def fail(self, id: str, exec_id: str, error: Any = None, *, poll: Mapping[str, Any] | None = None) -> Result:
        """End this attempt as failed; the task is tried again while it has attempts left."""
        return self._call("task/fail", id=id, exec_id=exec_id, error=error, poll=poll)

    def release(self, id: str, exec_id: str) -> Result:
        """Hand a requested or running task back, at no cost of an attempt."""
        return self._call("task/release", id=id, exec_id=exec_id)

    def feedback(self, id: str, exec_id: str, feedback: Any, *, append: bool | None = None) -> Result:
        """Store information that others can read while the task runs; with `append` a list grows."""
        return self._call("task/feedback", id=id, exec_id=exec_id, feedback=feedback, append=append)

    def workflow_create_and_execute(
        self,
        definition: str,
        params: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        label: str | None = None,
        execute_at: datetime | str | None = None,
        callback: Mapping[str, Any] | None = None,
    ) -> Result:
        """Begin a workflow; as `create_and_execute`."""
        arguments = {"definition": definition, "params": params, "id": id, "label": label}
        return self._call("workflow/create-and-execute", **arguments, execute_at=execute_at, callback=callback)

    def workflow_status(
        self,
        id: str,
        *,
        include_activities: bool | None = None,
        include_decisions: bool | None = None,
        include_task_runs: bool | None = None,
        include_log: bool | None = None,
    ) -> Result:
        """The workflow as it is now; if wanted with what it has started, its decisions, a flow's task runs, its log."""
        wanted = {"include_activities": include_activities, "include_decisions": include_decisions}
        of_flow = {"include_task_runs": include_task_runs, "include_log": include_log}
        return self._call("workflow/status", id=id, **wanted, **of_flow)

    def workflow_result(self, id: str, *, timeout: int | None = None) -> Result:
        """Wait until the workflow is done, at most `timeout`; answers the workflow as it then is."""
        return self._call("workflow/result", id=id, timeout=timeout)

    def workflow_resume(
        self, id: str, *, task_run_id: str | None = None, inputs: Mapping[str, Any] | None = None
    ) -> Result:
        """Let a paused task run of a flow go on; `task_run_id` says which, if there are several."""
        return self._call("workflow/resume", id=id, task_run_id=task_run_id, inputs=inputs)

    def workflow_restart(self, id: str) -> Result:
        """Have what failed in the execution of a flow done again."""
        return self._call("workflow/restart", id=id)

    def workflow_replay(self, id: str, *, task_run_id: str | None = None, new_id: str | None = None) -> Result:
        """Begin a new execution of a flow with the inputs of this one, perhaps from one of its task runs on."""
        return self._call("workflow/replay", id=id, task_run_id=task_run_id, new_id=new_id)

    def workflow_kill(self, id: str) -> Result:
        """End the execution of a flow at once; the same as `workflow_cancel`."""
        return self._call("workflow/kill", id=id)

    def workflow_cancel(self, id: str) -> Result:
        """End the workflow at once, with everything that it has started."""
        return self._call("workflow/cancel", id=id)

    def workflow_list(
        self,
        *,
        include_definitions: Sequence[str] | None = None,
        exclude_definitions: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        outcome: Sequence[str] | None = None,
        ilike: str | None = None,
        sort: Mapping[str, str] | None = None,
        count: int | None = None,
        page: int | None = None,
    ) -> Result:
        """Workflows that fit all of the filters; as `list`."""
        narrow = {"include_definitions": include_definitions, "exclude_definitions": exclude_definitions}
        return self._list(
            "workflow", {**narrow, "status": status, "outcome": outcome, "ilike": ilike}, sort, count, page
        )

    def definition_put(self, id: str, fields: Mapping[str, Any]) -> Result:
        """Create or replace a definition; `fields` as on the wire, e.g. `{"inProgressTimeout": 30000}`."""
        return self.call("awf.definition/put", {**fields, "id": id})

    def definition_get(self, id: str) -> Result:
        """The definition as it is now."""
        return self._call("definition/get", id=id)

    def definition_list(self) -> Result:
        """All definitions."""
        return self._call("definition/list")

    def definition_delete(self, id: str) -> Result:
        """Delete a definition; its tasks keep the settings they were created with."""
        return self._call("definition/delete", id=id)

    def _list(
        self, kind: str, narrow: Mapping[str, Any], sort: Mapping[str, str] | None, count: int | None, page: int | None
    ) -> Result:
        return self._call(f"{kind}/list", filter=wire_params(narrow) or None, sort=sort, count=count, page=page)

    def _call(self, method: str, **arguments: Any) -> Result:
        return self.call(f"awf.{method}", wire_params(arguments))
