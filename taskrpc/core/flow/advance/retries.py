"""Which retry holds for a task, and how long it waits."""

import hashlib

from taskrpc.core.flow.advance.state import ROOT, Run
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.model import Retry, Task


def retry_for(work: Work, run: Run, task: Task) -> tuple[Retry | None, bool]:
    """The retry that holds for a leaf, and whether it is that of something around it."""
    if task.retry is not None:
        return task.retry, False
    parent = run.parent
    while parent > ROOT:
        above = work.run(parent)
        if (retry := work.task(above).retry) is not None:
            return retry, True
        parent = above.parent
    return work.flow.retry, True


def delay_of(retry: Retry, tries: int, seed: str) -> int:
    """Microseconds until the next try. What is random is the same whenever it is asked for."""
    if retry.type == "exponential":
        return min(round(retry.interval * retry.factor ** min(tries - 1, 60)), retry.max_interval)
    if retry.type == "random":
        drawn = int.from_bytes(hashlib.sha256(f"{seed}/{tries}".encode()).digest()[:8], "big")
        return retry.interval + drawn % (max(retry.max_interval - retry.interval, 0) + 1)
    return retry.interval
