"""The way in: an execution, what has happened, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taskrpc.core.flow.advance import commands
from taskrpc.core.flow.advance.blocks import look
from taskrpc.core.flow.advance.dispatch import dispatch
from taskrpc.core.flow.advance.ends import end_all
from taskrpc.core.flow.advance.events import (
    Action,
    Began,
    Continued,
    Ended,
    Event,
    Fired,
    Killed,
    Restarted,
    Resumed,
    Started,
)
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.restart import restarted
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, Changes, Head, State
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.model import Flow

BUDGET: Final = 500


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: changes of the execution, actions in their order.

    `taken`: how many of the events were worked off. `more`: whether something is left to do without a further event;
    then `advance` is to be called again, with the events that were not taken (or none).
    """

    changes: Changes
    actions: tuple[Action, ...]
    taken: int
    more: bool


def advance(
    flow: Flow, state: State, events: Sequence[Event], facts: Facts | None = None, budget: int = BUDGET
) -> Step:
    """Works off events, in their order, until none is left or `budget` runs have been started.

    Nothing is changed but what is answered: the same state, events and facts give the same step. Raises
    MissingFactError when something has to be known that `facts` does not have.
    """
    work = Work(flow, state, facts or Facts())
    left = _go_on(work, budget)
    taken = 0
    for event in events:
        if left <= 0:
            break
        _take(work, event)
        taken += 1
        if isinstance(event, Restarted):
            break
        left = _go_on(work, left)
    return Step(work.changes(), tuple(work.actions), taken, is_left(work.head))


def _take(work: Work, event: Event) -> None:
    work.head.now = max(event.at, work.head.now)
    match event:
        case Started():
            _started(work, event)
        case Began():
            commands.began(work, event)
        case Ended():
            commands.ended(work, event)
        case Fired():
            commands.fired(work, event)
        case Resumed():
            commands.resumed(work, event)
        case Killed():
            commands.killed(work)
        case Restarted():
            restarted(work)
            commands.promises_begin(work)
        case _:
            assert isinstance(event, Continued)


def _started(work: Work, event: Started) -> None:
    if work.head.state not in ("CREATED", "QUEUED") and not work.head.held:
        return
    work.head.held = False
    if event.admission == "QUEUE":
        work.enter_head("QUEUED")
        return
    if event.admission != "RUN":
        end_all(work, "CANCELLED" if event.admission == "CANCEL" else "FAILED")
        return
    work.enter_head("RUNNING")
    if work.root().state != "RUNNING":
        work.enter(work.root(), "RUNNING")
    commands.promises_begin(work)
    if not is_left(work.head):
        work.visit(ROOT)


def _go_on(work: Work, budget: int) -> int:
    """Starts and looks until nothing is left, or as many runs as are allowed were started; answers what is left."""
    if work.head.state == "RESTARTED" and not work.head.held:
        work.enter_head("RUNNING")
    while budget > 0 and is_left(work.head):
        if work.head.dispatch:
            dispatch(work, work.head.dispatch.popleft())
            budget -= 1
        else:
            look(work, work.next_visit())
        commands.check_promises(work)
    return budget


def is_left(head: Head) -> bool:
    """Whether there is something to do without an event. What is paused starts what was created, and no more."""
    match head.state:
        case "CREATED" | "QUEUED":
            return False
        case "RESTARTED":
            return not head.held
        case "PAUSED":
            return bool(head.dispatch)
    return bool(head.dispatch or head.visit)


def is_over(state: State) -> bool:
    """Whether nothing can happen any more but what somebody does to it."""
    return state.head.finished and state.head.state in TERMINATED
