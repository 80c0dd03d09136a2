"""The state of an execution: its head, and one run for each task that has been started; the flow itself is run 0.

Times are microseconds since 1970. Everything is plain data that JSON can hold.
"""

import copy
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from taskrpc.core.flow.model import Flow

ROOT: Final = 0
TERMINATED: Final = frozenset(
    ("FAILED", "WARNING", "SUCCESS", "KILLED", "CANCELLED", "RETRIED", "SKIPPED", "RESUBMITTED")
)
SEVERITY: Final = {"KILLED": 3, "FAILED": 2, "WARNING": 1}


# In the place of a leaf's outputs that are not in memory: whoever reads them asks for the fact ("outputs", number).
ELSEWHERE: Final[dict[str, Any]] = {}


@dataclass(slots=True)
class Attempt:
    """One try of a run."""

    state: str
    started: int
    ended: int | None = None


@dataclass(slots=True)
class Block:
    """How far the tasks below a run are: counters, so that no step has to look at all of them.

    `section`: which of its lists is at work: `main`, `errors`, `finally`, `after`. `main`: the name of the main list.
    `next`: the position of the next task to start in it; in loops it goes through all values. `current`: the open run
    of a section that is worked off one by one. `open`: unfinished runs of the main list; `worst`: the worst end of
    those that ended; `passed`: how many ended well. `ready`: sequences of a loop that go on, as (iteration, position).
    `done`: ids that ended (Dag). `target`: the state that a pause ends in.
    """

    main: str = "tasks"
    section: str = "main"
    next: int = 0
    current: int | None = None
    open: int = 0
    worst: str = "SUCCESS"
    passed: int = 0
    failed: bool = False
    retrying: int = 0
    ready: list[tuple[int, int]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    target: str | None = None


@dataclass(slots=True)
class Run:
    """A task run. `n` counts them in the order of their creation; `role` and `index` say where its task stands.

    `fixed` is decided once, when the run starts, and may be large (the values of a loop); `block` changes with each
    step. `tick` counts the ends of runs, in their order. `context`: the run that began the nested context that it is
    in.
    """

    n: int
    task: str
    parent: int
    role: str
    index: int
    state: str
    history: list[tuple[str, int]]
    value: str | None = None
    iteration: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    outputs: dict[str, Any] | None = None
    context: int = ROOT
    fixed: dict[str, Any] = field(default_factory=dict)
    block: Block | None = None
    tick: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state in TERMINATED

    @property
    def asked_in(self) -> int:
        """The attempt that what it has started outside is of: the last one, but for subflows that are restarted."""
        attempt: int = self.fixed.get("asked in", len(self.attempts))
        return attempt

    def copied(self) -> "Run":
        """A copy that can be changed; `fixed` and `outputs` are shared, and replaced as a whole where they change."""
        block = None
        if self.block is not None:
            block = copy.copy(self.block)
            block.ready, block.done, block.counts = [*block.ready], [*block.done], {**block.counts}
        return replace(self, history=[*self.history], attempts=[replace(each) for each in self.attempts], block=block)


@dataclass(slots=True)
class Head:
    """What concerns the execution as a whole.

    `variables`: by context, 0 is the main one. `pauses`: runs that hold the execution. `dispatch` and `visit`: what is
    still to be done, in order: runs to start, blocks to look at. `detached`: open blocks of StartAsync. `tries`: which
    execution of a series of retries it is; `first_created`: when the first of the series was created.
    `held`: a replay that waits to be told that it may begin.
    """

    id: str
    state: str
    history: list[tuple[str, int]]
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    variables: dict[int, dict[str, Any]] = field(default_factory=dict)
    trigger: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    original_id: str | None = None
    tries: int = 1
    first_created: int = 0
    held: bool = False
    next: int = 1
    now: int = 0
    pauses: list[int] = field(default_factory=list)
    dispatch: deque[int] = field(default_factory=deque)
    visit: deque[int] = field(default_factory=deque)
    retrying: int = 0
    ticks: int = 0
    detached: list[int] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    finished: bool = False

    @property
    def created(self) -> int:
        """When it was created."""
        return self.history[0][1]

    def copied(self) -> "Head":
        """A copy that can be changed."""
        shared = ("inputs", "trigger", "outputs", "asked")
        fresh = {name: copy.copy(getattr(self, name)) for name in self.__slots__ if name not in shared}
        return replace(self, **fresh)


@dataclass(slots=True)
class Changes:
    """What a step changes: the head, runs by number (new ones too), and runs that are gone."""

    head: Head
    runs: dict[int, Run]
    gone: list[int]


class State:
    """An execution in memory, which `advance` reads and `apply` changes.

    Finds runs by task and loop values, and a run's children, without looking at the others.
    """

    def __init__(self, head: Head, runs: Iterable[Run]) -> None:
        self.head = head
        self.runs: dict[int, Run] = {}
        self._children: dict[int, dict[int, None]] = {}
        self._found: dict[tuple[str, tuple[str, ...]], int] = {}
        self._below: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
        for run in runs:
            self._add(run)

    def apply(self, changes: Changes) -> None:
        """Makes it what a step has made of it."""
        self.head = changes.head
        for n in reversed(changes.gone):
            self._remove(n)
        for run in changes.runs.values():
            self._add(run)

    def run(self, n: int) -> Run:
        """The run of this number; raises KeyError."""
        return self.runs[n]

    def has(self, n: int) -> bool:
        """Whether there is such a run."""
        return n in self.runs

    def children(self, n: int) -> Iterator[int]:
        """The runs below a run, in the order of their creation."""
        return iter(self._children.get(n, ()))

    def found(self, task: str, values: tuple[str, ...]) -> int | None:
        """The last run of a task with these loop values, from the outermost loop inwards."""
        return self._found.get((task, values))

    def below(self, task: str, values: tuple[str, ...]) -> Collection[str]:
        """The loop values that come next after these, for which there are runs of the task."""
        return self._below.get((task, values), ())

    def _add(self, run: Run) -> None:
        new = run.n not in self.runs
        self.runs[run.n] = run
        if new:
            self._children.setdefault(run.parent, {})[run.n] = None
            path = path_of(run, self.run)
            self._found[run.task, path] = run.n
            for length, value in enumerate(path):
                self._below.setdefault((run.task, path[:length]), {})[value] = None

    def _remove(self, n: int) -> None:
        run = self.runs[n]
        path = path_of(run, self.run)
        if self._found.get((run.task, path)) == n:
            del self._found[run.task, path]
            if path:
                self._below[run.task, path[:-1]].pop(path[-1], None)
        del self.runs[n]
        self._children.get(run.parent, {}).pop(n, None)
        self._children.pop(n, None)


def path_of(run: Run, lookup: Callable[[int], Run]) -> tuple[str, ...]:
    """The loop values around a run, from the outermost to its own."""
    values = []
    while run.n != ROOT:
        if run.value is not None:
            values.append(run.value)
        run = lookup(run.parent)
    return tuple(reversed(values))


def begin(
    flow: Flow,
    id: str,
    at: int,
    inputs: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    trigger: Mapping[str, Any] | None = None,
    *,
    correlation_id: str | None = None,
    original_id: str | None = None,
    tries: int = 1,
    asked: Mapping[str, Any] | None = None,
) -> State:
    """A new execution, CREATED. `inputs` are typed already; `asked` are outputs that a parent wants rendered at the
    end.
    """
    head = Head(
        id=id,
        state="CREATED",
        history=[("CREATED", at)],
        inputs=dict(inputs or {}),
        labels={"system.correlationId": correlation_id or id, **flow.labels, **(labels or {})},
        variables={ROOT: dict(flow.variables)},
        trigger=dict(trigger) if trigger else None,
        original_id=original_id or id,
        tries=tries,
        first_created=at,
        now=at,
        asked=dict(asked or {}),
    )
    return State(head, [root_run(at)])


def root_run(at: int) -> Run:
    """The run of the flow itself, as every execution begins with it."""
    return Run(ROOT, "", -1, "", 0, "CREATED", [("CREATED", at)], block=Block())
