"""What people do with an execution: resume, kill, restart, replay; and what timers and executors report."""

from collections.abc import Mapping
from typing import Any

from taskrpc.core.flow.advance.blocks import loop_fired
from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.dispatch import PAUSE_ENDS
from taskrpc.core.flow.advance.ends import (
    allowed,
    end,
    end_all,
    end_tasks_below,
    end_with_ancestors,
    fail_leaf,
    leaf_ended,
    retry_fired,
)
from taskrpc.core.flow.advance.events import Began, Ended, EndTask, Fired, Resumed, SetTimer
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, Block, Run, State
from taskrpc.core.flow.advance.subflows import item_ended, subflow_ended
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.durations import instant
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.inputs import resolve_inputs
from taskrpc.core.flow.model import Flow


def began(work: Work, event: Began) -> None:
    """An executor has begun a task. A working directory that begins again, begins anew."""
    run = _open(work, event.run, event.attempt)
    if run is None:
        return
    if work.task(run).kind == "WorkingDirectory":
        for child in list(work.children(run.n)):
            end_tasks_below(work, child)
            work.remove(child.n)
        run.block = Block()
        work.visit(run.n)
    if run.state != "RUNNING":
        work.enter(run, "RUNNING")


def ended(work: Work, event: Ended) -> None:
    """A task or a subflow has ended; what is late, or about a former try, is left alone."""
    run = _open(work, event.run, event.attempt)
    if run is None:
        return
    match work.task(run).kind:
        case "Subflow":
            subflow_ended(work, run, event)
        case "Items":
            item_ended(work, run, event)
        case "WorkingDirectory":
            _directory_ended(work, run, event)
        case _:
            outputs = None if event.outputs is None else dict(event.outputs)
            if event.message is not None:
                work.log(run, "ERROR", event.message)
            leaf_ended(work, run, event.state, outputs)


def _directory_ended(work: Work, run: Run, event: Ended) -> None:
    block = work.block(run)
    run.outputs = None if event.outputs is None else dict(event.outputs)
    block.counts["closed"] = 1
    if event.state != "SUCCESS":
        work.log(run, "ERROR", event.message or "the working directory has failed")
        block.failed, block.worst = True, "FAILED"
    work.visit(run.n)


def _open(work: Work, n: int, attempt: int) -> Run | None:
    """The run, to be changed, if it is open and in this try."""
    if not work.exists(n) or work.run(n).ended or work.run(n).asked_in != attempt:
        return None
    return None if work.run(n).state == "RETRYING" else work.edit(n)


def fired(work: Work, event: Fired) -> None:
    """A timer has run out; one that is about what has passed is left alone."""
    if event.kind.startswith("sla "):
        _promise_broken(work, event.kind.removeprefix("sla "))
        return
    if not work.exists(event.run) or work.run(event.run).ended:
        return
    run = work.edit(event.run)
    if event.kind == "loop" and run.state == "PAUSED" and (run.outputs or {}).get("iterationCount") == event.tag:
        loop_fired(work, run)
    elif len(run.attempts) != event.tag:
        return
    elif event.kind == "retry" and run.state == "RETRYING":
        retry_fired(work, run)
    elif event.kind == "sleep" and run.state == "RUNNING":
        leaf_ended(work, run, "SUCCESS", None)
    elif event.kind == "timeout" and run.state in ("SUBMITTED", "RUNNING"):
        _timed_out(work, run)
    elif event.kind.startswith("pause ") and run.state == "PAUSED":
        _pause_ends(work, run, PAUSE_ENDS[event.kind.removeprefix("pause ")])


def _timed_out(work: Work, run: Run) -> None:
    if work.task(run).kind == "task":
        work.actions.append(EndTask(run.n, len(run.attempts)))
    fail_leaf(work, run, f"Timeout after {work.task(run).timeout}")


def _promise_broken(work: Work, id: str) -> None:
    promise = next((each for each in work.flow.sla if each.id == id), None)
    if promise is None or work.root_ended:
        return
    work.head.labels = {**work.head.labels, **promise.labels}
    work.log(work.root(), "ERROR" if promise.behavior != "NONE" else "WARN", f"the promise {id} is not kept")
    if promise.behavior != "NONE":
        end_all(work, "FAILED" if promise.behavior == "FAIL" else "CANCELLED")


def promises_begin(work: Work) -> None:
    """Sets the timers of the flow's promises, which count from the creation, or from where it was begun again."""
    since = next(at for state, at in reversed(work.head.history) if state in ("CREATED", "RESTARTED"))
    for promise in work.flow.sla:
        if promise.duration is not None:
            after = max(promise.duration - (work.now - since), 0)
            work.actions.append(SetTimer(ROOT, f"sla {promise.id}", 0, after))


def check_promises(work: Work) -> None:
    """Looks whether the conditions that the flow promises still hold; the first that does not, acts."""
    for promise in work.flow.sla:
        if promise.condition is None or work.root_ended:
            continue
        if not _holds(work, promise.condition):
            _promise_broken(work, promise.id)
            return


def _holds(work: Work, condition: str) -> bool:
    """One that cannot be worked out does not hold."""
    try:
        return rendering(work, work.root()).condition(condition)
    except ExpressionError as error:
        work.log(work.root(), "ERROR", str(error))
        return False


# -- pauses --------------------


def paused_runs(state: State) -> list[int]:
    """The runs that wait to be resumed by somebody."""
    return [n for n in state.head.pauses if state.run(n).block is not None]


def check_resume(
    flow: Flow, state: State, n: int, inputs: Mapping[str, Any], at: int, facts: Facts | None = None
) -> dict[str, Any]:
    """The values for a paused run's `onResume`.

    Raises InvalidInputError, ValueError if it is not paused, and MissingFactError for what has to be known besides.
    """
    if not state.has(n) or state.run(n).state != "PAUSED":
        raise ValueError(f"the task run {n} is not paused")
    work = Work(flow, state, facts or Facts())
    work.head.now = at
    run = state.run(n)
    declared = work.task(run).properties.get("onResume", ())
    return resolve_inputs(declared, inputs, lambda values: rendering(work, run, {"inputs": values}))


def resumed(work: Work, event: Resumed) -> None:
    """Somebody lets a paused run go on."""
    if not work.exists(event.run) or work.run(event.run).state != "PAUSED":
        return
    run = work.edit(event.run)
    if work.task(run).kind == "LoopUntil":
        loop_fired(work, run)
        return
    by = {"by": event.by, "on": instant(event.at), "to": "RUNNING"}
    run.outputs = {"onResume": dict(event.inputs), "resumed": by}
    _pause_ends(work, run, "SUCCESS")


def _pause_ends(work: Work, run: Run, target: str) -> None:
    """The pause is over; its tasks follow, and it ends in the target, or worse."""
    if target == "CANCELLED":
        work.release(run.n)
        end_with_ancestors(work, run, target)
        return
    task = work.task(run)
    target = allowed(task, target)
    work.release(run.n)
    if not any(work.list_of(run, name) for name in ("tasks", "errors", "finally")):
        end(work, run, target)
        return
    work.enter(run, "RUNNING")
    block = work.block(run)
    block.target = target
    if target == "FAILED":
        block.failed, block.worst = True, "FAILED"
    elif not task.list_of("tasks"):
        block.main = "no tasks"
    work.visit(run.n)


def killed(work: Work) -> None:
    """Somebody ends the execution: everything that is open, and what it has queued or started."""
    if work.root_ended:
        return
    work.enter_head("KILLING")
    end_all(work, "KILLED")
