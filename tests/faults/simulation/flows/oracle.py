"""What has to hold for executions, whatever their flow: judged from steps that took effect, never from `advance`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taskrpc.core.flow.advance.events import Action, Ended, Event, Killed, Restarted, StartTask
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, Run, State
from taskrpc.core.flow.advance.step import is_left
from taskrpc.core.flow.model import Flow, Task

_SIDE_BY_SIDE: Final = ("Parallel", "EachParallel", "Dag")
_ROOT_LISTS: Final = {"after": "afterExecution"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that took effect: the execution before and after it, the events that it took, what it asked for."""

    flow: Flow
    before: State
    after: State
    events: Sequence[Event]
    actions: Sequence[Action]


class Oracle:
    """Looks at every step; `violations` has what did not hold."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._started: set[tuple[str, int, int]] = set()
        self._answered: set[tuple[str, int, int]] = set()

    def see(self, step: Taken) -> None:
        """One step."""
        self._leaves(step)
        _Look(step, self.violations).all()

    def _leaves(self, step: Taken) -> None:
        id = step.after.head.id
        for event in step.events:
            if isinstance(event, Ended) and (id, event.run, event.attempt) in self._started:
                self._answered.add((id, event.run, event.attempt))
        for action in step.actions:
            if isinstance(action, StartTask):
                key = id, action.run, action.attempt
                if key in self._started:
                    late = ", after its end was taken" if key in self._answered else ""
                    self.violations.append(f"attempt {key} is started once more{late}")
                self._started.add(key)


class _Look:
    """The rules about the runs of one step."""

    def __init__(self, step: Taken, violations: list[str]) -> None:
        self._step = step
        self._violations = violations
        self._places: dict[tuple[int, str, int | None, int], Run] = {}

    def all(self) -> None:
        """Every rule."""
        self._ends_are_final()
        self._each_task_has_one_run()
        self._order()
        self._limits()
        self._killed()

    def _violated(self, run: Run, message: str) -> None:
        self._violations.append(f"{self._step.after.head.id}: run {run.n} ({run.task}) {message}")

    def _ends_are_final(self) -> None:
        if any(isinstance(event, Restarted) for event in self._step.events):
            return
        for run in self._new_or_changed():
            old = self._step.before.runs.get(run.n)
            known = 0 if old is None else len(old.history)
            new = [state for state, _ in run.history[known:]]
            if old is not None and old.ended and new:
                self._violated(run, f"was {old.state}, and then {new}")
            if any(state in TERMINATED for state in new[:-1]):
                self._violated(run, f"has ended, and went on: {new}")

    def _new_or_changed(self) -> list[Run]:
        before = self._step.before.runs
        return [run for n, run in self._step.after.runs.items() if before.get(n) is not run]

    def _each_task_has_one_run(self) -> None:
        for run in self._step.after.runs.values():
            if run.n == ROOT:
                continue
            place = run.parent, run.role, _turn(run), run.index
            if (other := self._places.setdefault(place, run)) is not run:
                self._violated(run, f"is a second run of what run {other.n} is already")

    def _order(self) -> None:
        for run in self._new_or_changed():
            if run.n == ROOT or run.state not in ("SUBMITTED", "RUNNING") or run.role == "afterExecution":
                continue
            old = self._step.before.runs.get(run.n)
            if old is None or old.state != run.state:
                self._check_order(run)

    def _check_order(self, run: Run) -> None:
        tasks = self._list(run)
        parent = self._task(self._step.after.run(run.parent))
        if parent is not None and run.role == "tasks" and parent.kind == "Dag":
            wanted = [index for index, each in enumerate(tasks) if each.id in tasks[run.index].depends_on]
        elif parent is not None and run.role == "tasks" and parent.kind in _SIDE_BY_SIDE:
            wanted = []
        else:
            wanted = [run.index - 1] if run.index else []
        for index in wanted:
            former = self._places.get((run.parent, run.role, _turn(run), index))
            if former is None or not former.ended:
                self._violated(run, f"began before {tasks[index].id} had ended")

    def _task(self, run: Run) -> Task | None:
        return self._step.flow.tasks.get(run.task)

    def _list(self, run: Run) -> list[Task]:
        task = self._task(self._step.after.run(run.parent))
        lists = self._step.flow.lists if task is None else task.lists
        return [each for each in lists.get(run.role, ()) if not each.disabled]

    def _limits(self) -> None:
        for parent in self._step.after.runs.values():
            task = self._task(parent)
            if task is None or task.kind not in ("Parallel", "Dag", "ForEach"):
                continue
            written = task.properties.get("concurrencyLimit" if task.kind == "ForEach" else "concurrent", 0)
            if written:
                self._limit(parent, int(written))

    def _limit(self, parent: Run, limit: int) -> None:
        children = [self._step.after.run(n) for n in self._step.after.children(parent.n)]
        number = sum(1 for child in children if child.role == "tasks" and not child.ended)
        if number > limit:
            self._violated(parent, f"has {number} open at once, and its limit is {limit}")

    def _killed(self) -> None:
        before, after = self._step.before, self._step.after
        if not any(isinstance(event, Killed) for event in self._step.events) or before.head.state in TERMINATED:
            return
        if is_left(before.head):  # what was left from the former step comes first, and may have ended something
            return
        for n, run in after.runs.items():
            old = before.runs.get(n)
            if old is not None and not old.ended and run.role != "afterExecution" and run.state != "KILLED":
                self._violated(run, f"was {old.state} when everything was killed, and is {run.state}")


def _turn(run: Run) -> int | None:
    """Which value of the loop around it a run is for; a pass of a LoopUntil is over when the next one begins."""
    return None if run.value is None else run.iteration
