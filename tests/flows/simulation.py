"""A world for executions: a clock that jumps to what comes next, executors that do what they are told, files in memory.

Everything goes through `advance`, and every step is checked against what must hold for all of them.
"""

import copy
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from taskrpc.core.flow.advance.events import (
    Action,
    Began,
    CloseDirectory,
    End,
    Ended,
    EndTask,
    Event,
    Finish,
    Fired,
    Killed,
    Log,
    Restarted,
    SetTimer,
    StartAgain,
    Started,
    StartFlow,
    StartTask,
)
from taskrpc.core.flow.advance.facts import Facts, MissingFactError
from taskrpc.core.flow.advance.restart import replay
from taskrpc.core.flow.advance.state import State, begin
from taskrpc.core.flow.advance.step import BUDGET, Step, advance, is_left
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.inputs import resolve_inputs
from taskrpc.core.flow.model import Flow, Trigger
from taskrpc.core.flow.preconditions import met
from taskrpc.core.flow.triggers import fires, helps
from tests.flows.execution import Execution
from tests.flows.leaves import Leaves

NOON = 1_770_000_000_000_000
SECOND = 1_000_000

Outcome = tuple[str, dict[str, Any] | None, str | None]
Executor = Callable[[Execution, StartTask], Outcome]


class World:
    """Flows, executions, a clock."""

    def __init__(
        self,
        flows: Sequence[Flow] = (),
        templates: Mapping[tuple[str, str], Any] | None = None,
        executor: Executor | None = None,
        budget: int = BUDGET,
    ) -> None:
        self.flows = {(flow.namespace, flow.id): flow for flow in flows}
        self.templates = templates or {}
        self.executor = executor or (lambda execution, task: ("SUCCESS", dict(task.params), None))
        self.budget = budget
        self.now = NOON
        self.executions: dict[str, Execution] = {}
        self.facts = Facts({("environment",): {"envs": {"stage": "test"}, "globals": {}, "kestra": {}}})
        self.leaves = Leaves()
        self.children: dict[tuple[str, int, int], list[str]] = {}
        self.mute: set[str] = set()
        self._due: list[tuple[int, int, str, Event]] = []
        self._count = 0
        self._met: dict[tuple[str, str, str], dict[str, int]] = {}

    # -- what people do --------------------

    def start(
        self,
        flow: Flow,
        inputs: Mapping[str, Any] | None = None,
        *,
        checked: bool = True,
        admission: str = "RUN",
        **more: Any,
    ) -> Execution:
        """A new execution, that has been told to start; `settle` has it run."""
        self._count += 1
        values = dict(inputs or {})
        if checked:
            values = resolve_inputs(flow.inputs, values, lambda known: Rendering({"inputs": known}))
        else:
            values = {**{each.id: each.defaults for each in flow.inputs if each.defaults is not None}, **values}
        id = f"execution-{self._count}"
        state = begin(flow, id, self.now, values, **more)
        return self.add(flow, state, Started(self.now, admission))  # type: ignore[arg-type]

    def add(self, flow: Flow, state: State, *events: Event, parent: StartFlow | None = None) -> Execution:
        """An execution in this state."""
        execution = Execution(flow, state, copy.deepcopy(state), parent)
        self.executions[state.head.id] = execution
        for event in events:
            self.tell_later(execution, event)
        return execution

    def tell(self, execution: Execution, event: Event) -> None:
        """One step, for this event only; what is left is done by `settle`."""
        self._step(execution, [event])

    def settle(self, until: int | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Lets everything happen, up to a time (microseconds from now), or until `stop` says so."""
        end = None if until is None else self.now + until
        while not stop():
            busy = next((each for each in self.executions.values() if each.inbox or is_left(each.state.head)), None)
            if busy is not None:
                events, busy.inbox = busy.inbox, []
                self._step(busy, events)
            elif self._due and (end is None or self._due[0][0] <= end):
                at, _, id, event = heapq.heappop(self._due)
                self.now = max(self.now, at)
                self.executions[id].inbox.append(event)
            else:
                self.now = end or self.now
                return

    def later(self, execution: Execution, after: int, event: Event) -> None:
        """Tells an execution something in a while."""
        self._count += 1
        heapq.heappush(self._due, (self.now + after, self._count, execution.state.head.id, event))

    # -- steps --------------------

    def _step(self, execution: Execution, events: list[Event]) -> None:
        step = self.worked_out(execution.flow, execution.state, events, self.budget)
        execution.inbox = events[step.taken :] + execution.inbox
        self.carry_out(execution, step, events[: step.taken])

    def worked_out(self, flow: Flow, state: State, events: Sequence[Event], budget: int) -> Step:
        """The step that follows, with all that it has to know; it has not taken effect."""
        while True:
            try:
                return advance(flow, state, events, self.facts, budget)
            except MissingFactError as missing:
                self.facts.learn(missing.key, self._fact(*missing.key))

    def carry_out(self, execution: Execution, step: Step, taken: Sequence[Event]) -> None:
        """Has a step take effect."""
        known = len(execution.state.head.history)
        execution.told += taken
        execution.state.apply(step.changes)
        execution.steps += 1
        execution.actions += step.actions
        for action in step.actions:
            self._do(execution, action)
        for entered, _ in execution.state.head.history[known:]:
            self._fire(execution, entered)

    def _fire(self, execution: Execution, entered: str) -> None:
        state = copy.copy(execution.state)
        state.head = replace(state.head, state=entered)
        for flow in self.flows.values():
            for trigger in flow.triggers:
                if trigger.type == "Flow" and flow is not execution.flow:
                    firing = fires(trigger, flow, execution.flow, state, self.facts)
                    if firing is not None and self._is_due(trigger, flow, execution.flow, state):
                        self.start(flow, firing.inputs, labels=firing.labels, trigger=firing.trigger)

    def _is_due(self, trigger: Trigger, flow: Flow, source: Flow, state: State) -> bool:
        rules = trigger.properties.get("preconditions")
        if rules is None:
            return True
        names = helps(trigger, flow, source, state, self.facts)
        key = flow.namespace, flow.id, trigger.id
        if names:
            self._met[key], complete = met(rules, self._met.get(key, {}), names, self.now)
        return bool(names) and complete

    def _fact(self, kind: str, *key: str) -> Any:
        match kind:
            case "flow":
                return self.flows.get((key[0], key[1]))
            case "template":
                return self.templates.get((key[0], key[1]))
            case "read":
                return self.leaves.files.get(key[0])
            case "size":
                return len(self.leaves.files[key[0]]) if key[0] in self.leaves.files else None
        return None

    def _do(self, execution: Execution, action: Action) -> None:
        match action:
            case Log():
                execution.logs.append(action)
            case StartTask():
                self.start_task(execution, action)
            case SetTimer():
                self.set_timer(execution, action)
            case StartFlow():
                self._start_flow(execution, action)
            case CloseDirectory():
                wanted = execution.flow.tasks[execution.state.run(action.run).task].properties.get("outputFiles", [])
                outputs = self.leaves.close_directory(execution.state.head.id, action.run, wanted)
                self.tell_later(execution, Ended(self.now, action.run, action.attempt, "SUCCESS", outputs))
            case EndTask():
                self.end_task(execution, action)
            case End():
                self._tell_parent(execution, action)
            case StartAgain():
                self._count += 1
                again = replay(execution.flow, execution.state, f"execution-{self._count}", self.now + action.after)
                again.head.tries = action.tries
                new = self.add(execution.flow, again)
                self.later(new, action.after, Started(self.now + action.after))
            case Finish():
                pass

    def set_timer(self, execution: Execution, timer: SetTimer) -> None:
        """Has the execution told when the time has come."""
        self.later(execution, timer.after, Fired(self.now + timer.after, timer.run, timer.kind, timer.tag))

    def end_task(self, execution: Execution, task: EndTask) -> None:
        """Ends the subflows of an attempt; executors go on with what nobody waits for."""
        for id in self.children.get((execution.state.head.id, task.run, task.attempt), []):
            self.tell_later(self.executions[id], Killed(self.now))

    def tell_later(self, execution: Execution, event: Event) -> None:
        """Puts an event into an inbox."""
        execution.inbox.append(event)

    def start_task(self, execution: Execution, task: StartTask) -> None:
        """Has an executor do a task."""
        if task.type in self.mute:
            return
        self.tell_later(execution, Began(self.now, task.run, task.attempt))
        if task.type == "core.flow.WorkingDirectory":
            self.leaves.open_directory(execution.state.head.id, task)
            return
        state, outputs, message = self._done(execution, task)
        self.later(execution, 1000, Ended(self.now + 1000, task.run, task.attempt, state, outputs, message))

    def _done(self, execution: Execution, task: StartTask) -> Outcome:
        match task.type:
            case "core.flow.ForEachItem.split":
                return "SUCCESS", self.leaves.split(task), None
            case "core.flow.ForEachItem.merge":
                outputs = [self.executions[id].state.head.outputs or {} for id in task.params["executions"]]
                return "SUCCESS", self.leaves.merge(outputs), None
            case "core.storage.LocalFiles":
                return "SUCCESS", self.leaves.local_files(execution.state.head.id, task), None
        return self.executor(execution, task)

    def store(self, text: str, ending: str = "") -> str:
        """Puts a file away; answers its URI."""
        return self.leaves.store(text, ending)

    def _start_flow(self, execution: Execution, action: StartFlow) -> None:
        if action.restart:
            self._start_flow_again(self.executions[action.id])
            return
        flow = self.flows[action.namespace, action.flow]
        state = begin(
            flow, action.id, self.now, action.inputs, action.labels, action.trigger,
            correlation_id=action.correlation_id, asked=action.outputs,
        )  # fmt: skip
        self.children.setdefault((execution.state.head.id, action.run, action.attempt), []).append(action.id)
        assert action.id not in self.executions, "a subflow is started once"
        self.add(flow, state, Started(self.now), parent=action)

    def _start_flow_again(self, child: Execution) -> None:
        if child.state.head.state == "FAILED":
            self.tell_later(child, Restarted(self.now))
        elif child.state.head.finished:
            self._tell_parent(child, next(each for each in reversed(child.actions) if isinstance(each, End)))

    def _tell_parent(self, execution: Execution, end: End) -> None:
        start = execution.parent
        if start is None or not start.wait:
            return
        parent = self.executions[start.trigger["executionId"]]
        outputs = {**(end.outputs or {}), **(end.asked or {})}
        ended = Ended(self.now, start.run, start.attempt, end.state, outputs, end.problem, start.iteration)
        self.tell_later(parent, ended)
