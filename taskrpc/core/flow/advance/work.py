"""One step while it is made: what it has changed so far, over a state that stays as it was."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from taskrpc.core.flow.advance.events import Action, Log
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, Block, Changes, Head, Run, State, path_of
from taskrpc.core.flow.model import Flow, Task

MOST_ERROR_LOGS: Final = 25
_ROOT_TASK: Final = Task("", "", "Flow", {})
INNER: Final = {"split": "ItemsSplit", "items": "Items", "merge": "ItemsMerge"}


class Work:
    """The step's changes and actions; reads fall through to the state."""

    def __init__(self, flow: Flow, state: State, facts: Facts) -> None:
        self.flow = flow
        self.facts = facts
        self._state = state
        self.head: Head = state.head.copied()
        self._runs: dict[int, Run] = {}
        self._gone: dict[int, None] = {}
        self._children: dict[int, list[int]] = {}
        self._found: dict[tuple[str, tuple[str, ...]], int] = {}
        self._below: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
        self.actions: list[Action] = []
        self._queued = set(self.head.visit)

    @property
    def now(self) -> int:
        """The time of the event that is being worked off."""
        return self.head.now

    @property
    def root_ended(self) -> bool:
        """Whether the execution is in a final state."""
        return self.head.state in TERMINATED

    def changes(self) -> Changes:
        """What the step has changed."""
        return Changes(self.head, self._runs, [n for n in self._gone if self._state.has(n)])

    # -- reading ------------------------------------------------------------------------------------------------------

    def run(self, n: int) -> Run:
        """A run, to be read; for numbers that `exists` knows."""
        return self._runs.get(n) or self._state.run(n)

    def exists(self, n: int) -> bool:
        """Whether there is such a run."""
        return n not in self._gone and (n in self._runs or self._state.has(n))

    def children(self, n: int) -> Iterator[Run]:
        """The runs below a run, in the order of their creation."""
        for child in (*self._state.children(n), *self._children.get(n, ())):
            if child not in self._gone:
                yield self.run(child)

    def found(self, task: str, values: tuple[str, ...]) -> Run | None:
        """The last run of a task with these loop values."""
        for n in (self._found.get((task, values)), self._state.found(task, values)):
            if n is not None and n not in self._gone:
                return self.run(n)
        return None

    def below(self, task: str, values: tuple[str, ...]) -> Iterator[str]:
        """The loop values that come next after these; of some of them the runs may be gone."""
        stored = self._state.below(task, values)
        yield from stored
        yield from (value for value in self._below.get((task, values), ()) if value not in stored)

    def path(self, run: Run) -> tuple[str, ...]:
        """The loop values around a run, and its own."""
        return path_of(run, self.run)

    def task(self, run: Run) -> Task:
        """The task that a run is a run of."""
        if run.n == ROOT:
            return replace(_ROOT_TASK, lists=self.flow.lists)
        if run.task in self.flow.tasks:
            return self.flow.tasks[run.task]
        parent = self.run(run.parent)
        if run.role in INNER:
            return replace(self.task(parent), id=run.task, kind=INNER[run.role], lists={}, retry=None, run_if="true")
        if run.role == "async":
            return Task(
                run.task, "core.flow.Sequential", "Sequential", {}, {"tasks": self.task(parent).list_of("taskStart")}
            )
        return self._template_task(run.task, parent)

    def _template_task(self, id: str, parent: Run) -> Task:
        while "template" not in parent.fixed or id not in (known := self.template(*parent.fixed["template"])[1]):
            parent = self.run(parent.parent)
        return known[id]

    def template(self, namespace: str, id: str) -> tuple[tuple[Task, ...], Mapping[str, Task]]:
        """A template's tasks, and all of them by id; none if there is no such template."""
        found: tuple[tuple[Task, ...], Mapping[str, Task]] | None = self.facts.ask("template", namespace, id)
        return found or ((), {})

    def list_of(self, run: Run, name: str) -> tuple[Task, ...]:
        """The tasks of one of a run's lists that are not disabled."""
        if "template" in run.fixed and name == "tasks":
            tasks = self.template(*run.fixed["template"])[0]
        else:
            tasks = self.task(run).list_of("afterExecution" if name == "after" else name)
        return tuple(task for task in tasks if not task.disabled)

    def block(self, run: Run) -> Block:
        """The block of a run that has one."""
        assert run.block is not None, run
        return run.block

    # -- changing -----------------------------------------------------------------------------------------------------

    def edit(self, n: int) -> Run:
        """A run, to be changed."""
        if n not in self._runs:
            self._runs[n] = self._state.run(n).copied()
        return self._runs[n]

    def create(
        self, task: Task, parent: Run, role: str, index: int, value: str | None = None, iteration: int | None = None
    ) -> Run:
        """A new run, CREATED, that is to be dispatched. Below a LoopUntil it is of the loop's pass."""
        if iteration is None and parent.n != ROOT and self.task(parent).kind == "LoopUntil":
            iteration = (parent.iteration or 0) + self.block(parent).counts.get("passes", 0)
        n = self.head.next
        self.head.next += 1
        context = parent.context
        run = Run(
            n, task.id, parent.n, role, index, "CREATED", [("CREATED", self.now)], value, iteration, context=context
        )
        self._runs[n] = run
        self._children.setdefault(parent.n, []).append(n)
        path = self.path(run)
        self._found[task.id, path] = n
        for length, each in enumerate(path):
            self._below.setdefault((task.id, path[:length]), {})[each] = None
        self.head.dispatch.append(n)
        return run

    def remove(self, n: int) -> None:
        """Deletes a run and all below it."""
        stack = [n]
        while stack:
            at = stack.pop()
            stack += [child.n for child in self.children(at)]
            if self.run(at).state == "RETRYING":
                self._not_retrying()
            if at in self.head.detached:
                self.head.detached.remove(at)
            self._gone[at] = None
            self._runs.pop(at, None)
            self.release(at)

    def release(self, n: int) -> None:
        """A run holds the execution no longer; it goes on if nothing else holds it."""
        if n in self.head.pauses:
            self.head.pauses.remove(n)
            if not self.head.pauses and self.head.state == "PAUSED":
                self.enter_head("RESTARTED")
                self.enter_head("RUNNING")

    def enter(self, run: Run, state: str) -> None:
        """Puts a run, which is being edited, into a state."""
        if run.state == "RETRYING":
            self._not_retrying()
        self.head.retrying += state == "RETRYING"
        run.state = state
        run.history.append((state, self.now))

    def _not_retrying(self) -> None:
        self.head.retrying -= 1
        if self.head.state == "RETRYING" and not self.head.retrying:
            self.enter_head("RUNNING")

    def enter_head(self, state: str) -> None:
        """Puts the execution into a state."""
        self.head.state = state
        self.head.history.append((state, self.now))

    def visit(self, n: int) -> None:
        """Has a block looked at, after what is to be started."""
        if n not in self._queued:
            self._queued.add(n)
            self.head.visit.append(n)

    def next_visit(self) -> int:
        """The block that is to be looked at next."""
        n = self.head.visit.popleft()
        self._queued.discard(n)
        return n

    def act(self, run: Run, action: Action) -> None:
        """Asks for something outside. The first time in a context of its own, what began the context goes on."""
        self.actions.append(action)
        if run.context != ROOT and "delayed" not in (began := self.edit(run.context)).fixed:
            began.fixed = {**began.fixed, "delayed": True}
            self.visit(began.parent)

    def log(self, run: Run, level: str, message: str) -> None:
        """A line of the log; the first errors are kept for expressions."""
        if level == "ERROR" and len(self.head.errors) < MOST_ERROR_LOGS:
            self.head.errors.append({"taskId": run.task, "message": message[:1000], "level": level})
        self.actions.append(Log(run.n, self.now, level, message, run.task))

    def root(self) -> Run:
        """The run of the flow itself, to be changed."""
        return self.edit(ROOT)

    def variables(self, run: Run) -> dict[str, Any]:
        """The variables of the context that a run is in."""
        return self.head.variables[run.context]
