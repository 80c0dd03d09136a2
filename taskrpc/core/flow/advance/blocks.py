"""A look at a block: which of its tasks start now, and whether it has ended."""

from collections.abc import Sequence
from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.ends import allowed, done, end, failed, finish, worse
from taskrpc.core.flow.advance.events import CloseDirectory, SetTimer
from taskrpc.core.flow.advance.state import ROOT, Block, Run
from taskrpc.core.flow.advance.subflows import next_stage
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import parse_duration
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.values import text_of
from taskrpc.core.flow.model import Task

MOST_STARTS: Final = 500
_SECTIONS: Final = ("errors", "finally")


def look(work: Work, n: int) -> None:
    """Starts what can start in a block, or ends it."""
    if not work.exists(n):
        return
    run = work.run(n)
    if run.block is None or (run.ended and run.block.section != "after") or run.state == "PAUSED":
        return
    run = work.edit(n)
    block = work.block(run)
    if block.section == "main" and _main_is_at_work(work, run, block):
        return
    _one_by_one(work, run, block)


def _main_is_at_work(work: Work, run: Run, block: Block) -> bool:
    """Goes on with the main list; False when another section's turn has come."""
    if block.failed or block.retrying:
        if block.failed or any(work.list_of(run, name) for name in _SECTIONS):
            return _hand_over(work, run, block, "errors")
        return True
    kind = work.task(run).kind
    if kind == "ForEachItem":
        return _stage(work, run, block)
    tasks = work.list_of(run, block.main)
    if not tasks and block.main in work.task(run).lists:
        _end(work, run, "SUCCESS")
        return True
    if _start(work, run, block, tasks):
        return True
    if kind == "LoopUntil" and block.passed == len(work.task(run).list_of("tasks")):
        return _passed(work, run, block)
    return _hand_over(work, run, block, "finally")


def _stage(work: Work, run: Run, block: Block) -> bool:
    state = next_stage(work, run)
    if state is None:
        return True
    block.worst, block.failed = state, state in ("FAILED", "KILLED")
    return _hand_over(work, run, block, "errors" if block.failed else "finally")


def _hand_over(work: Work, run: Run, block: Block, section: str) -> bool:
    """The main list is done with; True if its end has to be waited for."""
    if work.task(run).kind == "WorkingDirectory" and "closed" not in block.counts:
        work.act(run, CloseDirectory(run.n, len(run.attempts)))
        return True
    block.counts["main next"] = block.next
    block.section, block.next, block.current = section, 0, None
    return False


def _one_by_one(work: Work, run: Run, block: Block) -> None:
    if block.current is not None:
        return
    tasks = work.list_of(run, block.section)
    if block.next < len(tasks):
        role = "afterExecution" if block.section == "after" else block.section
        block.next += 1
        block.current = work.create(tasks[block.next - 1], run, role, block.next - 1).n
    elif block.section == "errors":
        block.section, block.next = "finally", 0
        _one_by_one(work, run, block)
    elif block.section == "after":
        done(work)
    elif not block.retrying or block.failed:
        _end(work, run, "FAILED" if block.failed and block.worst != "KILLED" else block.worst)


def _end(work: Work, run: Run, state: str) -> None:
    """Ends a block whose tasks ended in this state."""
    if run.n == ROOT:
        finish(work, state)
        return
    task = work.task(run)
    if task.kind == "AllowFailure" and state == "FAILED":
        state = "WARNING"
    end(work, run, allowed(task, worse(state, work.block(run).target or "SUCCESS")))


# -- which start --------------------


def _start(work: Work, run: Run, block: Block, tasks: Sequence[Task]) -> bool:
    """Starts what can start; False when nothing is open and nothing is left."""
    match work.task(run).kind:
        case "Parallel":
            _start_pairs(work, run, block, tasks, _limit(run), None)
        case "EachParallel":
            _start_pairs(work, run, block, tasks, _limit(run), run.fixed["values"])
        case "ForEach" if _limit(run) != 1:
            _start_sequences(work, run, block, tasks, _limit(run))
        case "Dag":
            _start_ready(work, run, block, tasks, _limit(run))
        case _:
            return _start_next(work, run, block, tasks)
    return block.open > 0


def _limit(run: Run) -> int:
    limit: int = run.fixed.get("limit", 0)
    return limit


def _start_next(work: Work, run: Run, block: Block, tasks: Sequence[Task]) -> bool:
    """One after the other; in a loop, all for the first value, then for the second."""
    values = run.fixed.get("values")
    if block.current is None:
        if block.next >= len(tasks) * (1 if values is None else len(values)):
            return False
        turn, index = divmod(block.next, len(tasks))
        block.current = _child(work, run, block, tasks, index, None if values is None else turn).n
        block.next += 1
    return True


def _start_pairs(
    work: Work, run: Run, block: Block, tasks: Sequence[Task], limit: int, values: Sequence[str] | None
) -> None:
    """All side by side, as many as are allowed; in a loop every task for every value."""
    total, started = len(tasks) * (1 if values is None else len(values)), 0
    while block.next < total and (limit == 0 or block.open < limit):
        if started == MOST_STARTS:
            work.visit(run.n)
            return
        turn, index = divmod(block.next, len(tasks))
        _child(work, run, block, tasks, index, None if values is None else turn)
        block.next += 1
        started += 1


def _start_sequences(work: Work, run: Run, block: Block, tasks: Sequence[Task], limit: int) -> None:
    """A sequence for each value, as many as are allowed side by side."""
    ready, block.ready = block.ready, []
    for turn, index in ready:
        if index < len(tasks):
            _child(work, run, block, tasks, index, turn)
    started = 0
    while block.next < len(run.fixed["values"]) and (limit == 0 or block.open < limit):
        if started == MOST_STARTS:
            work.visit(run.n)
            return
        _child(work, run, block, tasks, 0, block.next)
        block.next += 1
        started += 1


def _start_ready(work: Work, run: Run, block: Block, tasks: Sequence[Task], limit: int) -> None:
    """All whose dependencies have ended; a disabled one has ended when its own have."""
    every = {task.id: task for task in work.task(run).list_of("tasks")}
    ended = set(block.done)
    for index, task in enumerate(tasks):
        if task.id in block.counts or (limit and block.open >= limit):
            continue
        if all(_is_done(name, every, ended) for name in task.depends_on):
            block.counts[task.id] = 1
            _child(work, run, block, tasks, index, None)


def _is_done(name: str, every: dict[str, Task], ended: set[str]) -> bool:
    task = every[name]
    return name in ended or (task.disabled and all(_is_done(other, every, ended) for other in task.depends_on))


def _child(work: Work, run: Run, block: Block, tasks: Sequence[Task], index: int, turn: int | None) -> Run:
    block.open += 1
    value = None if turn is None else run.fixed["values"][turn]
    return work.create(tasks[index], run, block.main, index, value, turn)


# -- loops until --------------------


def _passed(work: Work, run: Run, block: Block) -> bool:
    """A pass of a LoopUntil has ended: it ends, or pauses until the next pass."""
    task = work.task(run)
    try:
        renders = rendering(work, run)
        if renders.condition(text_of(task.properties["condition"])):
            return _hand_over(work, run, block, "finally")
        rules = {key: renders.text(str(each)) for key, each in task.properties.get("checkFrequency", {}).items()}
        interval = parse_duration(rules.get("interval", "PT1M"))
        count = (run.outputs or {}).get("iterationCount", 1) + 1
        run.outputs = {"iterationCount": count}
        late = "maxDuration" in rules and work.now - run.attempts[-1].started > parse_duration(rules["maxDuration"])
        most = int(rules["maxIterations"]) if "maxIterations" in rules else None
        fails = renders.condition(text_of(task.properties.get("failOnMaxReached", False)))
    except (ExpressionError, ValueError) as error:
        failed(work, run, f"task {task.id}: {error}")
        return True
    if late or (most is not None and count > most):
        if fails:
            work.log(run, "ERROR", f"task {task.id}: its condition was not met within its limits")
            block.failed, block.worst = True, "FAILED"
        return _hand_over(work, run, block, "errors" if fails else "finally")
    pause(work, run)
    work.act(run, SetTimer(run.n, "loop", count, interval))
    return True


def loop_fired(work: Work, run: Run) -> None:
    """The next pass of a LoopUntil: all of the former is forgotten.

    Within a loop its `iteration` stays that of the loop, which knows by it what comes next.
    """
    for child in list(work.children(run.n)):
        work.remove(child.n)
    work.enter(run, "CREATED")
    work.enter(run, "RUNNING")
    passes = work.block(run).counts.get("passes", 0)
    run.block = Block(main="tasks")
    if run.value is None:
        run.iteration = (run.iteration or 0) + 1
    else:
        run.block.counts["passes"] = passes + 1
    work.visit(run.n)
    work.release(run.n)


def pause(work: Work, run: Run) -> None:
    """Holds a run, and with it the execution."""
    work.enter(run, "PAUSED")
    work.head.pauses.append(run.n)
    if work.head.state != "PAUSED" and not work.root_ended:
        work.enter_head("PAUSED")


def fixed_limit(value: Any) -> int:
    """A limit as a number, from a number or a rendered text; raises ValueError."""
    limit = int(value)
    if limit < 0:
        raise ValueError(f"a limit is 0 or more, not {limit}")
    return limit
