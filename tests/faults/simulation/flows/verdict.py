"""A story from its beginning to its end, and what of it does not hold."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from taskrpc.core.flow.advance.state import TERMINATED
from taskrpc.core.flow.advance.step import is_over
from taskrpc.core.flow.model import Task
from tests.faults.simulation.flows.drawn import draw, is_concurrent
from tests.faults.simulation.flows.store import FlowStore
from tests.faults.simulation.flows.story import Story, as_if_nothing_broke, states_of
from tests.flows.execution import Execution
from tests.flows.simulation import SECOND

_KILLED: Final = 0.15
_RESTARTED: Final = 0.5
_REPLAYED: Final = 0.2


class Verdict:
    """Runs the story of a seed; `violations` has what does not hold, `story.log` what has happened."""

    def __init__(self, seed: int, store: type[FlowStore] = FlowStore) -> None:
        self.violations: list[str] = []
        self.seed = seed
        self.flows, _ = draw(seed)
        self.story = Story(seed, store)
        self._chance = random.Random(f"people {seed}")
        self._is_concurrent = any(is_concurrent(flow) for flow in self.flows)
        self._tell()
        self.violations = [*self.story.oracle.violations, *self.violations]

    def told(self) -> Iterator[str]:
        """The flows, and what happened, line by line."""
        for flow in self.flows:
            yield f"flow {flow.id}, retry: {flow.retry}"
            for name, tasks in flow.lists.items():
                yield from (f"{name}:", *_written(tasks))
        yield from self.story.log

    def summary(self) -> Iterator[str]:
        """How it ended."""
        for id, execution in self.story.executions.items():
            yield f"{id} ({execution.flow.id}): {execution.state.head.state} after {execution.steps} steps"
        yield from self.violations or ["nothing is violated"]

    def _tell(self) -> None:
        story = self.story
        if self._chance.random() < _KILLED:
            story.plan(self._chance.randint(0, 8 * SECOND), story.kill)
        self._comes_to_rest()
        if not self.violations and not story.meddled:
            self._compare(story.main)
        if self._chance.random() < _RESTARTED and story.restart():
            self._comes_to_rest()
        if self.violations or self._chance.random() > _REPLAYED:
            return
        runs = [run.n for run in story.main.runs]
        target = self._chance.choice([None, *runs])
        again = story.replay(target)
        self._comes_to_rest()
        if target is None and not self.violations:
            self._compare(again)

    def _comes_to_rest(self) -> None:
        if not self.story.run():
            self.violations.append("it does not come to an end")
            return
        for id, execution in self.story.executions.items():
            self._is_over(id, execution)

    def _is_over(self, id: str, execution: Execution) -> None:
        _, kept = self.story.kept.load(id)
        if not is_over(kept):
            self.violations.append(f"{id} stays {kept.head.state}: {execution.states()}")
        if self.story.kept.records[id].inbox:
            self.violations.append(f"{id} has events that nobody takes")
        if (kept.head, kept.runs) != (execution.state.head, execution.state.runs):
            self.violations.append(f"{id} is written otherwise than it went")
        self.violations += [
            f"{id}: run {run.n} ({run.task}) is {run.state} for ever"
            for run in kept.runs.values()
            if run.state not in TERMINATED
        ]

    def _compare(self, execution: Execution) -> None:
        """With the same flow when nothing breaks; where something fails beside something else, only the end counts."""
        state, runs = states_of(execution)
        expected, expected_runs = states_of(as_if_nothing_broke(self.seed))
        if state != expected:
            self.violations.append(f"it is {state}, and {expected} if nothing breaks")
        order_counts = self._is_concurrent and any("FAILED" in run for run in expected_runs)
        if not order_counts and runs != expected_runs:
            self.violations.append(f"its runs are {runs}, and {expected_runs} if nothing breaks")


def _written(tasks: Sequence[Task], depth: int = 1) -> Iterator[str]:
    """Tasks as they were drawn, on a line each."""
    for task in tasks:
        marks = [name for name in ("disabled", "allow_failure", "retry") if getattr(task, name)]
        yield "  " * depth + " ".join([task.id, task.type, str(dict(task.properties)), *marks])
        for name, below in task.lists.items():
            yield "  " * depth + f"{name}:"
            yield from _written(below, depth + 1)
