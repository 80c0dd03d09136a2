"""How runs end, are tried again, and how the execution ends."""

from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.events import End, EndTask, Finish, SetTimer, StartAgain
from taskrpc.core.flow.advance.retries import delay_of, retry_for
from taskrpc.core.flow.advance.state import ROOT, SEVERITY, Attempt, Block, Run
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.inputs import InvalidInputError, read_value
from taskrpc.core.flow.model import Retry, Task

PASSED: Final = ("SUCCESS", "WARNING", "SKIPPED")
SEQUENCES: Final = ("ForEach",)


def allowed(task: Task, state: str) -> str:
    """The state that a run ends in, if its task allows failures or warnings."""
    if state == "FAILED" and task.allow_failure:
        state = "WARNING"
    return "SUCCESS" if state == "WARNING" and task.allow_warning else state


def worse(one: str, other: str) -> str:
    """The more severe of two states; success for those that have no severity."""
    worst = max(one, other, key=lambda state: SEVERITY.get(state, 0))
    return worst if worst in SEVERITY else "SUCCESS"


def failed(work: Work, run: Run, message: str) -> None:
    """Ends a run that cannot go on, with the reason in the log; it is not tried again."""
    work.log(run, "ERROR", message)
    end(work, run, allowed(work.task(run), "FAILED"))


def fail_leaf(work: Work, run: Run, message: str) -> None:
    """Ends this try of a leaf, with the reason in the log."""
    work.log(run, "ERROR", message)
    leaf_ended(work, run, "FAILED", run.outputs)


def leaf_ended(work: Work, run: Run, state: str, outputs: dict[str, Any] | None) -> None:
    """Ends a try of a leaf: the run is tried again, or ends."""
    run.outputs = outputs
    _close_attempt(run, state, work.now)
    task = work.task(run)
    if state == "FAILED":
        retry, inherited = retry_for(work, run, task)
        if retry is not None and _try_again(work, run, retry, inherited):
            return
    elif state == "SUCCESS" and len(run.attempts) > 1:
        retry, _ = retry_for(work, run, task)
        state = "WARNING" if retry is not None and retry.warning else state
    end(work, run, allowed(task, state))


def _close_attempt(run: Run, state: str, now: int) -> None:
    """Notes how the last attempt ended, if it is open."""
    if not run.attempts:
        run.attempts.append(Attempt(state, now))
    if run.attempts[-1].ended is None:
        run.attempts[-1].state, run.attempts[-1].ended = state, now


def end(work: Work, run: Run, state: str) -> None:
    """Puts a run, which is being edited, into its final state; its open children end with it, its parent is told."""
    _close_attempt(run, state, work.now)
    work.enter(run, state)
    work.head.ticks += 1
    run.tick = work.head.ticks
    if run.block is not None and (run.block.open or run.block.current is not None):
        for child in list(work.children(run.n)):
            if not child.ended and child.role != "async":
                _take_state(work, work.edit(child.n), state)
    _tell_parent(work, run)


def _take_state(work: Work, child: Run, state: str) -> None:
    """An open child of a block that has ended ends as the block did; what it has below it runs on."""
    _close_attempt(child, state, work.now)
    work.enter(child, state)
    work.release(child.n)


def _tell_parent(work: Work, run: Run) -> None:
    parent = work.edit(run.parent)
    block = work.block(parent)
    if run.role == "async":
        if run.n not in work.head.detached:  # the execution has ended without it
            return
        work.head.detached.remove(run.n)
        work.visit(parent.n)
        root = work.block(work.root())
        root.worst = worse(root.worst, run.state)
        if root.target is not None and not work.head.detached:
            finish(work, worse(root.target, root.worst))
        return
    if parent.ended and run.role != "afterExecution":
        return
    if block.current == run.n:
        block.current = None
    if run.role == block.main:
        _count(work, parent, block, run)
    work.visit(parent.n)


def _count(work: Work, parent: Run, block: Block, run: Run) -> None:
    block.open -= 1
    block.worst = worse(block.worst, run.state)
    block.passed += run.state in PASSED
    block.failed = block.failed or run.state in ("FAILED", "KILLED")
    kind = work.task(parent).kind
    if kind == "Dag":
        block.done.append(run.task)
    elif kind in SEQUENCES and run.iteration is not None:
        block.ready.append((run.iteration, run.index + 1))


# -- trying again --------------------


def _try_again(work: Work, run: Run, retry: Retry, inherited: bool) -> bool:
    again = retry.behavior == "CREATE_NEW_EXECUTION"
    tries = work.head.tries if again else len(run.attempts)
    delay = delay_of(retry, tries, f"{work.head.id}/{run.n}")
    if retry.max_attempts is not None and tries >= retry.max_attempts:
        return False
    first = work.head.first_created if again else run.attempts[0].started
    if retry.max_duration is not None and work.now + delay > first + retry.max_duration:
        return False
    if again:
        work.actions.append(StartAgain(run.n, tries + 1, delay))
        end_with_ancestors(work, run, "RETRIED")
        return True
    work.enter(run, "RETRYING")
    if work.head.state == "RUNNING":
        work.enter_head("RETRYING")
    work.actions.append(SetTimer(run.n, "retry", len(run.attempts), delay))
    parent = work.edit(run.parent)
    if inherited and run.role == work.block(parent).main:
        work.block(parent).retrying += 1
        work.visit(parent.n)
    return True


def retry_fired(work: Work, run: Run) -> None:
    """The time of a new try has come: what the failure had started is undone, and the same run starts again."""
    parent = work.edit(run.parent)
    block = work.block(parent)
    if block.retrying and run.role == block.main:
        block.retrying -= 1
        if block.section in ("errors", "finally") and not block.failed:
            undo_handlers(work, parent)
            block.current = run.n  # a look that was put off by a pause must not start what follows it
    work.head.dispatch.append(run.n)


def undo_handlers(work: Work, parent: Run) -> None:
    """Deletes the runs of a block's errors and finally, and has it work on its main list again."""
    block = work.block(parent)
    for child in list(work.children(parent.n)):
        if child.role in ("errors", "finally"):
            end_tasks_below(work, child)
            work.remove(child.n)
    _resume_main(block)


def _resume_main(block: Block) -> None:
    """Puts a block back to its main list, where it was."""
    if block.section != "main":
        block.next, block.current = block.counts.pop("main next"), None
    block.section = "main"


def end_tasks_below(work: Work, run: Run) -> None:
    """Cancels all that is queued or runs outside for a run, and for those below it."""
    for child in list(work.children(run.n)):
        end_tasks_below(work, child)
    if not run.ended and run.attempts and work.task(run).kind in OUTSIDE:
        work.actions.append(EndTask(run.n, run.asked_in))


OUTSIDE: Final = ("task", "Subflow", "WorkingDirectory", "ItemsSplit", "Items", "ItemsMerge")


# -- the execution --------------------


def end_with_ancestors(work: Work, run: Run, state: str) -> None:
    """Ends a run and all around it, up to the execution, at once."""
    n = run.n
    while n > ROOT:
        if not work.run(n).ended:
            _take_state(work, work.edit(n), state)
        n = work.run(n).parent
    work.head.detached.clear()
    if work.root_ended:
        block = work.block(work.root())
        block.next, block.current = len(work.list_of(work.root(), "after")), None
        work.visit(ROOT)
    else:
        finish(work, state)


def end_all(work: Work, state: str) -> None:
    """Ends everything that is open, and the execution, in this state."""
    stack = [ROOT]
    while stack:
        for child in list(work.children(stack.pop())):
            stack.append(child.n)
            if not child.ended and child.role != "afterExecution":
                if child.attempts and work.task(child).kind in OUTSIDE:
                    work.actions.append(EndTask(child.n, child.asked_in))
                _take_state(work, work.edit(child.n), state)
    work.head.detached.clear()
    finish(work, state)


def finish(work: Work, state: str) -> None:
    """The execution has come to its end; afterExecution follows. Waits for what StartAsync has left running."""
    root = work.root()
    block = work.block(root)
    if work.head.detached:
        block.target, block.section = state, "detached"
        return
    _end_what_is_left(work, state)
    state = _with_outputs(work, root, state)
    work.head.pauses.clear()
    work.enter(root, state)
    work.enter_head(state)
    asked, problem = _asked(work, root)
    work.actions.append(End(ROOT, state, work.head.outputs, asked, problem))
    if block.section == "main":
        block.counts["main next"] = block.next
    block.section, block.next, block.current, block.target = "after", 0, None, None
    if work.list_of(root, "after") and state != "RETRIED":
        work.visit(ROOT)
    else:
        done(work)


def _end_what_is_left(work: Work, state: str) -> None:
    """What fail-fast has left open ends with the execution; only leaves that are under way end by themselves."""
    stack = [ROOT]
    while stack:
        for child in list(work.children(stack.pop())):
            is_open = not child.ended
            if is_open and (child.block is not None or child.state not in ("SUBMITTED", "RUNNING")):
                _take_state(work, work.edit(child.n), state)
            if child.block is not None and (is_open or child.block.open or child.block.current is not None):
                stack.append(child.n)


def done(work: Work) -> None:
    """Nothing is left to do."""
    if work.head.finished:
        return
    work.head.finished = True
    work.actions.append(Finish(ROOT))


def _with_outputs(work: Work, root: Run, state: str) -> str:
    """Renders the flow's outputs; what cannot be rendered fails the execution, unless it is optional."""
    outputs: dict[str, Any] = {}
    for output in work.flow.outputs:
        try:
            value = rendering(work, root).document(output.value)
            outputs[output.id] = read_value(output.type, value, {})
        except (ExpressionError, InvalidInputError) as error:
            if output.required:
                work.log(root, "ERROR", f"output {output.id}: {error}")
                state = worse(state, "FAILED") if state in (*PASSED, "FAILED") else state
    work.head.outputs = outputs or None
    return state


def _asked(work: Work, root: Run) -> tuple[dict[str, Any] | None, str | None]:
    try:
        return rendering(work, root).document(work.head.asked), None
    except ExpressionError as error:
        return None, str(error)
