"""What the actions of a step are for the store: tasks, workflows, timers, events, lines of the log, an end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from taskrpc.core.flow.advance.context import id_of_run
from taskrpc.core.flow.advance.events import (
    Action,
    CloseDirectory,
    End,
    EndTask,
    Finish,
    Log,
    SetTimer,
    StartAgain,
    StartFlow,
    StartTask,
)
from taskrpc.core.flow.advance.restart import replay
from taskrpc.core.flow.advance.state import Changes, Run, State, begin
from taskrpc.core.flow.advance.step import Step
from taskrpc.core.flow.advance.subflows import child_ids
from taskrpc.core.flow.durations import moment
from taskrpc.core.flow.inbox import label_of
from taskrpc.core.flow.records import document_text
from taskrpc.core.ids import derived_id
from taskrpc.engine.definitions import Definitions
from taskrpc.engine.execution_cache import Cached
from taskrpc.engine.execution_chores import CHORES
from taskrpc.engine.execution_facts import Outside
from taskrpc.engine.execution_files import DIRECTORY, Places
from taskrpc.engine.execution_starts import workflow_of
from taskrpc.engine.flows import flow_name
from taskrpc.engine.requests import TaskRequest, json_text, new_task
from taskrpc.errors import TaskRpcError
from taskrpc.store.creations import NewTask
from taskrpc.store.executions import FlowEnding, Timer, Told
from taskrpc.store.flow_triggers import Advance
from taskrpc.store.workflows import NewWorkflow

PLACE: Final = "$execution"
END_OF_DIRECTORY: Final = "$end"
_OUTCOMES: Final = {"SUCCESS": "succeeded", "WARNING": "succeeded", "FAILED": "failed"}


def task_id_of(execution_id: str, run: int, attempt: int) -> str:
    """The id of the task of an attempt: always the same, so that it is never started twice."""
    return derived_id("run", execution_id, str(run), str(attempt))


def queue_of_directory(execution_id: str, run: int) -> str:
    """The definition of the tasks of a working directory, which only its executor polls."""
    return f"working-directory:{id_of_run(execution_id, run)}"


@dataclass(slots=True)
class Deeds:
    """What a step asks the store for."""

    tasks: list[NewTask] = field(default_factory=list)
    workflows: list[NewWorkflow] = field(default_factory=list)
    advances: Sequence[Advance] = ()
    timers: list[Timer] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    log: list[tuple[int, str]] = field(default_factory=list)
    ending: str | None = None
    ends: FlowEnding | None = None
    finished: bool = False


class Actions:
    """The actions of one step of an execution, one after the other."""

    def __init__(
        self, cached: Cached, step: Step, outside: Outside, definitions: Definitions, places: Places, call_id: str
    ) -> None:
        self.deeds = Deeds()
        self._id = cached.id
        self._flow = cached.loaded.flow
        self._cached = cached
        self._before = cached.state
        self._changes: Changes = step.changes
        self._outside = outside
        self._definitions = definitions
        self._places = places
        self._call_id = call_id
        for action in step.actions:
            _DEEDS[type(action)](self, action)

    def _start_task(self, action: StartTask) -> None:
        of = {"run": action.run, "attempt": action.attempt}
        if action.type in CHORES:
            chore = {**of, "type": action.type, "params": action.params}
            self.deeds.told.append(Told("chore", self._id, document_text(chore)))
            return
        try:
            self.deeds.tasks.append(self._task(action))
        except TaskRpcError as refusal:
            refused = {**of, "state": "FAILED", "message": refusal.message}
            self.deeds.told.append(Told("done-here", self._id, document_text(refused)))

    def _task(self, action: StartTask) -> NewTask:
        params = {**action.params, PLACE: self._places[action.run, action.attempt]}
        if action.directory is not None:
            params["type"] = action.type
        name = action.type if action.directory is None else queue_of_directory(self._id, action.directory)
        label = label_of(self._name_of(action.run), action.run, action.attempt)
        part = "directory" if action.type == DIRECTORY else "leaf"
        return self._new_task(name, params, task_id_of(self._id, action.run, action.attempt), part, action.run, label)

    def _new_task(
        self, name: str, params: Mapping[str, Any], task_id: str, part: str, run: int, label: str | None
    ) -> NewTask:
        request = TaskRequest(
            definition=name,
            params=params,
            id=task_id,
            label=label,
            parent_id=self._id,
            requester={"id": self._id, "resourceType": "AidboxWorkflow", "taskRunId": id_of_run(self._id, run)},
        )
        return new_task(request, self._definitions.of_task(name), self._call_id)._replace(flow_part=part)

    def _run(self, n: int) -> Run | None:
        """A run as the step leaves it; None for one that was made and removed again."""
        return self._changes.runs.get(n) or self._before.runs.get(n)

    def _name_of(self, n: int) -> str:
        run = self._run(n)
        return "" if run is None else run.task

    def _close_directory(self, action: CloseDirectory) -> None:
        """Once for each time that the directory has begun: a version of the execution is committed once."""
        task_id = derived_id("close", self._id, str(action.run), str(self._cached.version))
        name = queue_of_directory(self._id, action.run)
        self.deeds.tasks.append(self._new_task(name, {END_OF_DIRECTORY: True}, task_id, "leaf", action.run, None))

    def _start_flow(self, action: StartFlow) -> None:
        if action.restart:
            self.deeds.told.append(Told("again", action.id))
            return
        loaded = self._outside.loaded(action.namespace, action.flow, action.revision)
        state = begin(
            loaded.flow, action.id, self._changes.head.now, action.inputs, action.labels, action.trigger,
            correlation_id=action.correlation_id, asked=action.outputs,
        )  # fmt: skip
        waited_for = {
            "label": label_of(self._name_of(action.run), action.run, action.attempt, action.iteration),
            "parent_id": self._id,
        }
        request = TaskRequest(
            definition=flow_name(action.namespace, action.flow),
            params=action.inputs,
            id=action.id,
            requester={"id": self._id, "resourceType": "AidboxWorkflow", "taskRunId": id_of_run(self._id, action.run)},
            **(waited_for if action.wait else {}),  # type: ignore[arg-type]
        )
        workflow = workflow_of(request, loaded, self._call_id, state)
        self.deeds.workflows.append(replace(workflow, flow_part="subflow" if action.wait else None))

    def _end_task(self, action: EndTask) -> None:
        """Cancels what was started for an attempt: that is done after the commit, by who finds these events."""
        run = self._run(action.run)
        subflows = [] if run is None else child_ids(run)
        started = subflows or [task_id_of(self._id, action.run, action.attempt)]
        self.deeds.told += [Told("unwanted", each) for each in started]

    def _set_timer(self, action: SetTimer) -> None:
        at = self._changes.head.now + action.after
        self.deeds.timers.append(Timer(action.run, action.kind, action.tag, at))

    def _log(self, action: Log) -> None:
        entry = {"level": action.level, "message": action.message, "taskId": action.task}
        where = {"taskRunId": id_of_run(self._id, action.run)} if action.run else {}
        self.deeds.log.append((action.at, document_text({**entry, **where})))

    def _start_again(self, action: StartAgain) -> None:
        head = self._changes.head
        new_id = derived_id("again", self._id, str(action.tries))
        state = replay(self._flow, State(head, []), new_id, head.now + action.after)
        state.head.tries = action.tries
        request = TaskRequest(
            definition=flow_name(self._flow.namespace, self._flow.id),
            params=head.inputs,
            id=new_id,
            execute_at=moment(head.now + action.after),
            requester={"id": self._id, "resourceType": "AidboxWorkflow"},
        )
        self.deeds.workflows.append(workflow_of(request, self._cached.loaded, self._call_id, state))

    def _end(self, action: End) -> None:
        ending = {"state": action.state, "outputs": action.outputs, "asked": action.asked, "problem": action.problem}
        self.deeds.ending = document_text({name: each for name, each in ending.items() if each is not None})
        started = [task.id for task in self.deeds.tasks]
        started += [workflow.id for workflow in self.deeds.workflows if workflow.flow_part is not None]
        self.deeds.told += [Told("unwanted", each) for each in started]
        self.deeds.ends = self._flow_ending(action)

    def _flow_ending(self, action: End) -> FlowEnding:
        outcome = _OUTCOMES.get(action.state, "canceled")
        if outcome != "failed":
            return FlowEnding(outcome, json_text(action.outputs), None, None)
        errors = self._changes.head.errors
        message = errors[-1]["message"] if errors else "The flow has failed"
        reason = {"type": "awf.workflow/flow-failed", "message": message}
        data: dict[str, Any] = {"taskId": errors[-1]["taskId"]} if errors else {}
        if action.outputs is not None:
            data["outputs"] = action.outputs
        error = {**reason, **({"data": data} if data else {})}
        return FlowEnding(outcome, None, document_text(error), document_text(reason))

    def _finish(self, action: Finish) -> None:
        self.deeds.finished = True


_DEEDS: Final[Mapping[type[Action], Callable[[Actions, Any], None]]] = {
    StartTask: Actions._start_task,
    StartFlow: Actions._start_flow,
    EndTask: Actions._end_task,
    CloseDirectory: Actions._close_directory,
    SetTimer: Actions._set_timer,
    Log: Actions._log,
    End: Actions._end,
    Finish: Actions._finish,
    StartAgain: Actions._start_again,
}
