"""The model of a server that takes steps: it works them out on its own copy, and a commit says whether they count."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from taskrpc.core.flow.advance.events import Event, Killed
from taskrpc.core.flow.advance.state import State
from taskrpc.core.flow.advance.step import Step
from taskrpc.core.flow.model import Flow

_BUDGETS: Final = (1, 2, 5, 500)


@dataclass(slots=True)
class Cached:
    """An execution in the memory of a server."""

    version: int
    state: State


@dataclass(frozen=True, slots=True)
class Draft:
    """A step that was worked out and has not taken effect yet."""

    server: "FlowServer"
    id: str
    version: int
    cached: Cached
    numbers: Sequence[int]
    events: Sequence[Event]
    step: Step


class Surroundings(Protocol):
    """What a server has around it."""

    def inbox(self, id: str) -> list[tuple[int, Event]]: ...

    def load(self, id: str) -> tuple[int, State]: ...

    def flow_of(self, id: str) -> Flow: ...

    def worked_out(self, flow: Flow, state: State, events: Sequence[Event], budget: int) -> Step: ...


class FlowServer:
    """Keeps what it had its hands on last in memory, however old that is."""

    def __init__(self, around: Surroundings, chance: random.Random) -> None:
        self._around = around
        self._chance = chance
        self._cache: dict[str, Cached] = {}
        self._busy: dict[str, Cached] = {}

    def draft(self, id: str) -> Draft | None:
        """Works out the next step of an execution; None if there is nothing to do, or it is at it already."""
        if id in self._busy:
            return None
        rows = sorted(self._around.inbox(id), key=lambda row: not isinstance(row[1], Killed))
        if not rows:
            return None
        cached = self._cache.pop(id, None) or Cached(*self._around.load(id))
        self._busy[id] = cached
        events = [event for _, event in rows]
        budget = self._chance.choice(_BUDGETS)
        step = self._around.worked_out(self._around.flow_of(id), cached.state, events, budget)
        numbers = [number for number, _ in rows[: step.taken]]
        return Draft(self, id, cached.version, cached, numbers, events[: step.taken], step)

    def committed(self, draft: Draft) -> None:
        """The step has taken effect."""
        if self._busy.get(draft.id) is draft.cached:  # else it died when the commit was on its way
            del self._busy[draft.id]
            draft.cached.version += 1
            draft.cached.state.apply(draft.step.changes)
            self._cache[draft.id] = draft.cached

    def refused(self, draft: Draft) -> None:
        """It came too late: the next one reads the execution again."""
        if self._busy.get(draft.id) is draft.cached:
            del self._busy[draft.id]

    def crash(self) -> None:
        """Another process takes its place."""
        self._cache.clear()
        self._busy.clear()
