"""One story: executions of drawn flows, on servers that race and crash, with executors and users, in virtual time.

What an action means outside is the business of `World`, as it is for the tests of flows; here it is delayed, repeated,
lost, and a step takes effect only if the model of the store takes it.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from taskrpc.core.flow.advance.commands import paused_runs
from taskrpc.core.flow.advance.events import (
    Began,
    Continued,
    Ended,
    EndTask,
    Event,
    Fired,
    Killed,
    Restarted,
    Resumed,
    SetTimer,
    Started,
    StartFlow,
    StartTask,
)
from taskrpc.core.flow.advance.restart import can_restart, replay
from taskrpc.core.flow.advance.state import ROOT, State, path_of
from taskrpc.core.flow.advance.step import Step
from taskrpc.core.flow.model import Flow
from tests.faults.simulation.flows.drawn import SLOW, comes_to, draw
from tests.faults.simulation.flows.oracle import Oracle, Taken
from tests.faults.simulation.flows.server import Draft, FlowServer
from tests.faults.simulation.flows.store import FlowStore
from tests.flows.execution import Execution
from tests.flows.simulation import SECOND, World

SERVERS: Final = 3
MOST_TURNS: Final = 50_000
_MILLISECOND: Final = 1000


class Story(World):
    """What one seed decides."""

    def __init__(self, seed: int, store: type[FlowStore] = FlowStore) -> None:
        flows, self._failing = draw(seed)
        super().__init__(flows)
        self.oracle, self.kept = Oracle(), store()
        self.chance = random.Random(f"story {seed}")
        self.log: list[str] = []
        self.meddled = False
        self._seed = seed
        self._breaks = self.chance.choice((0.0, 0.05, 0.2))
        self._servers = [FlowServer(self, self.chance) for _ in range(SERVERS)]
        self._plan: list[tuple[int, int, Callable[[], None]]] = []
        self._plans = 0
        self._open: dict[tuple[str, int, int], StartTask] = {}
        self.main = self.start(flows[0])

    # -- time --------------------

    def plan(self, after: int, what: Callable[[], None]) -> None:
        """Has something done in so many microseconds."""
        self._plans += 1
        heapq.heappush(self._plan, (self.now + after, self._plans, what))

    def run(self) -> bool:
        """Lets everything happen that is planned; False if that does not end."""
        for _ in range(MOST_TURNS):
            if not self._plan:
                return True
            at, _, what = heapq.heappop(self._plan)
            self.now = max(self.now, at)
            what()
        return False

    def _soon(self, most: int = 10) -> int:
        return self.chance.randint(0, most * _MILLISECOND)

    def _breaks_now(self) -> bool:
        return self.chance.random() < self._breaks

    def _note(self, id: str, what: object) -> None:
        self.log.append(f"{self.now / SECOND:.3f} {id} {what}")

    # -- servers --------------------

    def inbox(self, id: str) -> list[tuple[int, Event]]:
        """What a server finds in an inbox."""
        return self.kept.inbox(id)

    def load(self, id: str) -> tuple[int, State]:
        """What a server reads."""
        return self.kept.load(id)

    def flow_of(self, id: str) -> Flow:
        """The flow of an execution."""
        return self.executions[id].flow

    def _attend(self, id: str, within: int = 10) -> None:
        """Some server, perhaps several, will look into the inbox."""
        for _ in range(1 + self._breaks_now()):
            server = self.chance.choice(self._servers)
            self.plan(self._soon(within), lambda server=server: self._turn(server, id))  # type: ignore[misc]

    def _turn(self, server: FlowServer, id: str) -> None:
        draft = server.draft(id)
        if draft is None:
            return
        if self._breaks_now():
            self._note(id, "a server dies before its commit")
            server.crash()
            self._attend(id, 500)
        else:
            self.plan(self._soon(), lambda: self._commit(draft))

    def _commit(self, draft: Draft) -> None:
        execution = self.executions[draft.id]
        changes = draft.step.changes
        if not self.kept.commit(draft.id, draft.version, draft.cached.state, changes, draft.numbers):
            self._note(draft.id, "a step is too late")
            draft.server.refused(draft)
            self._attend(draft.id)
            return
        draft.server.committed(draft)
        self._note(draft.id, f"{list(draft.events)} -> {changes.head.state}, {list(draft.step.actions)}")
        self.carry_out(execution, draft.step, draft.events)
        if draft.step.more:
            self.tell_later(execution, Continued(self.now))
        if self._breaks_now():
            draft.server.crash()
        if self.kept.inbox(draft.id):
            self._attend(draft.id)

    def carry_out(self, execution: Execution, step: Step, taken: Sequence[Event]) -> None:
        before = State(execution.state.head, execution.state.runs.values())
        super().carry_out(execution, step, taken)
        self.oracle.see(Taken(execution.flow, before, execution.state, taken, step.actions))
        if paused := paused_runs(execution.state):
            self._resume_later(execution, self.chance.choice(paused))

    # -- what executions ask for --------------------

    def add(self, flow: Flow, state: State, *events: Event, parent: StartFlow | None = None) -> Execution:
        self.kept.insert(state.head.id, state)
        return super().add(flow, state, *events, parent=parent)

    def tell_later(self, execution: Execution, event: Event) -> None:
        id = execution.state.head.id
        self.kept.tell(id, replace(event, at=self.now))
        self._attend(id)

    def later(self, execution: Execution, after: int, event: Event) -> None:
        self.plan(after, lambda: self.tell_later(execution, event))

    def set_timer(self, execution: Execution, timer: SetTimer) -> None:
        id, key = execution.state.head.id, (timer.run, timer.kind, timer.tag)
        self.kept.records[id].timers.add(key)

        def fire() -> None:
            if key in self.kept.records[id].timers:
                self.kept.records[id].timers.remove(key)
                self._tell_perhaps_twice(execution, Fired(self.now, *key))

        self.plan(timer.after + self._soon(50), fire)

    def _tell_perhaps_twice(self, execution: Execution, event: Event) -> None:
        self.tell_later(execution, event)
        if self._breaks_now():
            self.plan(self._soon(3000), lambda: self.tell_later(execution, event))

    def start_task(self, execution: Execution, task: StartTask) -> None:
        id = execution.state.head.id
        key = id, task.run, task.attempt
        end = _end_of(execution, task, self._seed, self._failing)
        self._open[key] = task
        begins = self._soon(100)
        if self._breaks_now():  # its executor is lost, and another one begins again
            self.plan(begins, lambda: self.tell_later(execution, Began(self.now, task.run, task.attempt)))
            begins += 500 * _MILLISECOND
        lasts = (3 if task.type == SLOW else self.chance.choice((0, 0.1, 0.5))) * SECOND
        self.plan(begins, lambda: self._begin(execution, key))
        self.plan(begins + int(lasts) + self._soon(100), lambda: self._answer(execution, key, end))

    def _begin(self, execution: Execution, key: tuple[str, int, int]) -> None:
        if key in self._open:
            self._tell_perhaps_twice(execution, Began(self.now, *key[1:]))

    def _answer(self, execution: Execution, key: tuple[str, int, int], end: str) -> None:
        if self._open.pop(key, None) is not None:
            self._tell_perhaps_twice(execution, Ended(self.now, key[1], key[2], end, {"made": end}))

    def end_task(self, execution: Execution, task: EndTask) -> None:
        super().end_task(execution, task)
        key = execution.state.head.id, task.run, task.attempt
        self.plan(self._soon(), lambda: self._answer(execution, key, "KILLED"))

    # -- what people do --------------------

    def _resume_later(self, execution: Execution, n: int) -> None:
        run = execution.state.run(n)
        if run.block is None or "pauseDuration" in execution.flow.tasks[run.task].properties:
            return
        self.plan(self._soon(3000), lambda: self._resume(execution, n))

    def _resume(self, execution: Execution, n: int) -> None:
        if execution.state.head.state == "PAUSED" and n in paused_runs(execution.state):
            self._tell_perhaps_twice(execution, Resumed(self.now, n))

    def kill(self) -> None:
        """Ends the execution, whatever it is at."""
        if not self.main.state.head.finished:
            self.meddled = True
            self._note(self.main.state.head.id, "is killed")
            self.tell_later(self.main, Killed(self.now))

    def restart(self) -> bool:
        """Has done again what has failed; False if there is nothing."""
        head = self.main.state.head
        if not (head.finished or head.state == "PAUSED") or not can_restart(self.main.state):
            return False
        self.meddled = True
        self._note(head.id, "is restarted")
        self.kept.touch(head.id)
        self.tell_later(self.main, Restarted(self.now))
        return True

    def replay(self, target: int | None) -> Execution:
        """Does it once more, from the beginning or from a run on."""
        self._count += 1
        state = replay(self.main.flow, self.main.state, f"execution-{self._count}", self.now, target)
        self._note(state.head.id, f"replays {self.main.state.head.id} from {target or ROOT}")
        return self.add(self.main.flow, state, Started(self.now))


def states_of(execution: Execution) -> tuple[str, list[str]]:
    """The outcome: of the execution, and of its runs in no order."""
    return execution.state.head.state, sorted(execution.states())


def _end_of(execution: Execution, task: StartTask, seed: int, failing: set[str]) -> str:
    """How a leaf ends; that of a run which its own step has removed again is of no account."""
    state = execution.state
    if not state.has(task.run):
        return "SUCCESS"
    run = state.run(task.run)
    return comes_to(seed, failing, run.task, path_of(run, state.run), task.attempt)


def as_if_nothing_broke(seed: int) -> Execution:
    """The same flow with the same results of leaves, one thing after the other."""
    flows, failing = draw(seed)

    def executor(execution: Execution, task: StartTask) -> Any:
        return _end_of(execution, task, seed, failing), None, None

    world = World(flows, executor=executor)
    world.mute.add(SLOW)
    execution = world.start(flows[0])
    for _ in range(MOST_TURNS):
        world.settle()
        paused = [(each, n) for each in world.executions.values() for n in paused_runs(each.state)]
        if not paused:
            break
        world.tell(paused[0][0], Resumed(world.now, paused[0][1]))
    return execution
