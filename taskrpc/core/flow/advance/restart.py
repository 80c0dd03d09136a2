"""Doing failed runs again: in the same execution (restart), or in a new one (replay)."""

from collections.abc import Iterator
from typing import Final

from taskrpc.core.flow.advance.ends import PASSED, SEQUENCES, undo_handlers, worse
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, Block, Head, Run, State, begin
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.model import Flow

_AGAIN: Final = ("FAILED", "PAUSED")
_HANDLERS: Final = ("errors", "finally", "afterExecution")


def can_restart(state: State) -> bool:
    """Whether there is something to be done again: a failed or paused run, in an execution that was not killed."""
    return state.head.state not in ("KILLED", "RETRIED") and any(run.state in _AGAIN for run in state.runs.values())


def restarted(work: Work) -> None:
    """Puts failed and paused runs to RESTARTED, what is around them to RUNNING; handlers and what they did are gone."""
    root = work.root()
    for child in list(work.children(ROOT)):
        if child.role == "afterExecution":
            work.remove(child.n)
    work.head.pauses.clear()
    work.head.dispatch.clear()
    work.head.finished = False
    work.head.outputs = None
    work.head.labels = {**work.head.labels, "system.restarted": "true"}
    work.enter_head("RESTARTED")
    _reopen(work, root)


def _reopen(work: Work, run: Run) -> None:
    """A block whose runs are to be done again; those that can only be started anew are."""
    undo_handlers(work, run)
    work.enter(run, "RUNNING")
    for child in list(work.children(run.n)):
        if child.state in _AGAIN or (not child.ended and child.block is not None):
            _again(work, work.edit(child.n))
    _recount(work, run)
    work.visit(run.n)


def _again(work: Work, run: Run) -> None:
    kind = work.task(run).kind
    below = [child for child in work.children(run.n) if child.role not in ("errors", "finally")]
    whole = run.block is None or kind in ("WorkingDirectory", "Items", "Pause")
    if whole or not any(child.state in _AGAIN or not child.ended for child in below):
        for child in list(work.children(run.n)):
            work.remove(child.n)
        run.block = None
        work.enter(run, "RESTARTED")
        work.head.dispatch.append(run.n)
    else:
        _reopen(work, run)


def _recount(work: Work, run: Run) -> None:
    """The counters of a block, from its runs."""
    old = work.block(run)
    block = Block(main=old.main, next=old.next, target=None)
    kind = work.task(run).kind
    block.counts = {name: count for name, count in old.counts.items() if kind == "Dag" or name == "passes"}
    latest: dict[int, Run] = {}
    for child in _main_runs(work, run, block):
        if child.ended:
            block.worst, block.passed = worse(block.worst, child.state), block.passed + (child.state in PASSED)
            block.done += [child.task] if kind == "Dag" else []
        else:
            block.open, block.current = block.open + 1, child.n
        if child.iteration is not None:
            latest[child.iteration] = child
    if kind in SEQUENCES and run.fixed.get("limit") != 1:
        block.ready = [(turn, child.index + 1) for turn, child in latest.items() if child.ended]
    if not _one_by_one(work, run):
        block.current = None
    run.block = block


def _main_runs(work: Work, run: Run, block: Block) -> Iterator[Run]:
    return (child for child in work.children(run.n) if child.role == block.main)


def _one_by_one(work: Work, run: Run) -> bool:
    kind = work.task(run).kind
    return kind not in ("Parallel", "EachParallel", "Dag") and (kind != "ForEach" or run.fixed.get("limit") == 1)


def replay(flow: Flow, state: State, id: str, at: int, target: int | None = None) -> State:
    """A new execution with the inputs of this one, from its beginning or from a task run on.

    What ended before the target began is copied; the target is RESTARTED, as is the execution, whose history goes on
    from that of the old one; nothing after the target is there. From a target in `errors`, `finally` or
    `afterExecution` on, all of these begin anew. Raises ValueError for a target that there is not.
    """
    head = state.head
    labels = {
        key: value for key, value in head.labels.items() if key not in ("system.correlationId", "system.restarted")
    }
    new = begin(flow, id, at, head.inputs, labels, head.trigger, original_id=head.original_id)
    new.head.first_created = head.first_created
    if target is None:
        return new
    if target == ROOT or not state.has(target):
        raise ValueError(f"there is no task run {target}")
    if (handled := _handled(state, target)) is not None:
        kept = _before_handlers(state, handled)
        return _resumed_at(flow, State(_head(new.head, head), kept), None, set(_around(state, handled)))
    around = set(_around(state, target))
    began = state.run(target).history[0][1]
    kept = [run for run in state.runs.values() if _is_kept(state, run, target, began, around)]
    copies = [run.copied() for run in kept]
    return _resumed_at(flow, State(_head(new.head, head), copies), target, around)


def _around(state: State, n: int) -> Iterator[int]:
    while n != ROOT:
        yield n
        n = state.run(n).parent
    yield ROOT


def _handled(state: State, target: int) -> int | None:
    """The outermost block in whose handlers a run is; None for a run of main lists."""
    handlers = [n for n in _around(state, target) if state.run(n).role in _HANDLERS]
    return state.run(handlers[-1]).parent if handlers else None


def _before_handlers(state: State, block: int) -> list[Run]:
    """Copies of what there was when the main list of a block was done with."""
    began = min(state.run(n).history[0][1] for n in state.children(block) if state.run(n).role in _HANDLERS)
    first = min(n for n in state.children(block) if state.run(n).role in _HANDLERS)
    around = set(_around(state, block))
    return [run.copied() for run in state.runs.values() if _is_kept(state, run, first, began, around)]


def _is_kept(state: State, run: Run, target: int, began: int, around: set[int]) -> bool:
    """Whether a run, and all around it, had come to an end before the target began."""
    return all(n in around or _is_past(state.run(n), target, began) for n in _around(state, run.n))


def _is_past(run: Run, target: int, began: int) -> bool:
    return run.role not in _HANDLERS and run.n < target and run.ended and run.history[-1][1] <= began


def _head(new: Head, old: Head) -> Head:
    new.next, new.variables, new.ticks = old.next, {key: dict(each) for key, each in old.variables.items()}, old.ticks
    new.history, new.state, new.held = [*old.history, ("RESTARTED", new.now)], "RESTARTED", True
    return new


def _resumed_at(flow: Flow, state: State, target: int | None, around: set[int]) -> State:
    """Puts what is around the target back to work; without one, the innermost of it goes on behind its main list."""
    work = Work(flow, state, Facts())
    blocks = sorted(around - {target})
    for n in blocks:
        run = work.edit(n)
        work.enter(run, "RUNNING")
        block = work.block(run)
        block.section, block.failed, block.retrying = "main", False, 0
    if target is not None:
        run = work.edit(target)
        run.block, run.outputs = None, None
        work.enter(run, "RESTARTED")
    for n in blocks:
        block_run = work.edit(n)
        _recount(work, block_run)
        _rewind(work, block_run)
    if target is None:
        _behind_its_tasks(work, work.edit(blocks[-1]))
    else:
        work.head.dispatch.append(target)
    state.apply(work.changes())
    return state


def _behind_its_tasks(work: Work, run: Run) -> None:
    """Has a block, whose main list is done with, go on with what follows that."""
    block = work.block(run)
    block.failed = any(child.state in ("FAILED", "KILLED") for child in _main_runs(work, run, block))
    work.visit(run.n)


def _rewind(work: Work, run: Run) -> None:
    """What a block starts next: what follows the last run that there is; of parallel sequences also what is missing."""
    block = work.block(run)
    children = list(_main_runs(work, run, block))
    per_turn = max(len(work.list_of(run, block.main)), 1) if "values" in run.fixed else 0
    block.next = max(((child.iteration or 0) * per_turn + child.index for child in children), default=-1) + 1
    if work.task(run).kind == "Dag":
        block.counts = {child.task: 1 for child in children}
    if work.task(run).kind in SEQUENCES and run.fixed["limit"] != 1:
        turns = {child.iteration or 0 for child in children}
        block.next = max(turns, default=-1) + 1
        block.ready += [(turn, 0) for turn in range(block.next) if turn not in turns]
