"""One execution of one task, from the poll that handed it out to its end."""

import asyncio
import logging
from typing import Any, Final

from taskrpc.client import AsyncClient
from taskrpc.errors import TaskRpcError

from .handler import Ending, Failure, Handler, Success
from .outbox import Feedback, Heartbeat, Notice, Outbox, Progress
from .task import Task

logger = logging.getLogger("taskrpc.executor")

# The execution is not ours any more: it timed out, was canceled, or its task was given to somebody else.
_STALE: Final = frozenset({"stale-exec-id", "wrong-status", "task-not-found"})
_RELEASE_TIMEOUT: Final = 5.0
_PROGRESS_INTERVAL: Final = 0.1
_DEFAULT_IN_PROGRESS_TIMEOUT: Final = 120_000


class Execution:
    """Starts the task, runs its function, keeps it alive meanwhile and delivers what came of it.

    An execution that the service no longer takes for the current one is abandoned quietly: its async function
    is cancelled, a sync one is asked to stop, and what it returns is thrown away. `started` says whether the
    function may have begun.
    """

    def __init__(self, client: AsyncClient, handler: Handler, resource: dict[str, Any]) -> None:
        self._client = client
        self._handler = handler
        self._id: str = resource["id"]
        self._exec_id: str = resource["execId"]
        self._resource = resource
        self._outbox = Outbox()
        self._abandoned = False
        self.started = False

    async def run(self) -> None:
        """The whole course; raises nothing but `CancelledError`, before which the task is handed back."""
        try:
            started = await self._client.start(self._id, self._exec_id)
            self.started = True
            ending = await self._work(started)
            if ending is not None:
                await self._end(ending)
        except asyncio.CancelledError:
            await self._release()
            raise
        except Exception as error:
            if is_stale(error):
                logger.info("task %s is abandoned: %s", self._id, error)
            else:
                logger.exception("task %s is left to its timeout", self._id)

    async def _work(self, started: dict[str, Any]) -> Ending | None:
        """Run the function, with a reporter beside it; None when the execution was abandoned."""
        task = Task(started["resource"], self._outbox.put)
        if started.get("stopRequested"):
            task.request_stop()
        interval = task.resource.get("inProgressTimeout", _DEFAULT_IN_PROGRESS_TIMEOUT) / 3000
        try:
            async with asyncio.TaskGroup() as group:
                function = group.create_task(self._call(task))
                group.create_task(self._report(task, function, interval))
        except asyncio.CancelledError:
            # A thread runs on: it should know that nobody waits for it.
            task.request_stop()
            raise
        return None if self._abandoned else function.result()

    async def _call(self, task: Task) -> Ending:
        try:
            return await self._handler.call(task, self._client)
        finally:
            # Behind the function's last reports, which reach the loop in the same way.
            asyncio.get_running_loop().call_soon(self._outbox.close)

    async def _report(self, task: Task, function: asyncio.Task[Ending], interval: float) -> None:
        """Send what the function reports and a heartbeat every `interval` seconds, until it has ended."""
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time() + interval
        while (notice := await self._outbox.next(heartbeat_at)) is not None:
            if not isinstance(notice, Feedback):
                heartbeat_at = loop.time() + interval
            try:
                answer = await self._send(notice)
            except TaskRpcError as refusal:
                if is_stale(refusal):
                    self._abandon(task, function, refusal)
                    return
                logger.warning("task %s: a report was refused: %s", self._id, refusal)
                continue
            if answer.get("stopRequested"):
                task.request_stop()
            if isinstance(notice, Progress):
                await self._outbox.closed_within(_PROGRESS_INTERVAL)

    def _abandon(self, task: Task, function: asyncio.Task[Ending], refusal: TaskRpcError) -> None:
        logger.info("task %s is abandoned: %s", self._id, refusal.message)
        self._abandoned = True
        task.request_stop()
        # A thread cannot be cancelled: its slot stays taken until the function comes back.
        if self._handler.is_async:
            function.cancel()

    async def _send(self, notice: Notice) -> dict[str, Any]:
        match notice:
            case Heartbeat(message):
                return await self._client.notify(self._id, self._exec_id, message=message)
            case Progress(current, total, unit):
                return await self._client.notify(
                    self._id,
                    self._exec_id,
                    notification="awf.task/progress",
                    progress_current=current,
                    progress_total=total,
                    progress_unit=unit,
                )
            case Feedback(value, append):
                return await self._client.feedback(self._id, self._exec_id, value, append=append)

    async def _end(self, ending: Ending) -> None:
        """Deliver the end; a result that is refused (too large, not as its schema wants) is a failure, and of an
        error that is refused the beginning is told."""
        if isinstance(ending, Success):
            try:
                await self._client.success(self._id, self._exec_id, ending.result)
                return
            except TaskRpcError as refusal:
                if is_stale(refusal):
                    raise
                message = f"The result was refused: {refusal.message}"
                ending = Failure.of(TaskRpcError(refusal.type, message, refusal.data))
        self._log_failure(ending)
        try:
            await self._client.fail(self._id, self._exec_id, ending.error)
        except TaskRpcError as refusal:
            if is_stale(refusal):
                raise
            await self._client.fail(self._id, self._exec_id, ending.in_short(refusal).error)

    def _log_failure(self, failure: Failure) -> None:
        error = failure.error
        definition = self._handler.definition
        logger.warning("task %s of %s failed: %s: %s", self._id, definition, error["type"], error["message"])
        logger.debug("task %s of %s failed:\n%s", self._id, definition, error["traceback"])

    async def _release(self) -> None:
        """Hand the task back, so that another executor has it at once and not after its timeout."""
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT):
                await self._client.release(self._id, self._exec_id)
        except (TimeoutError, TaskRpcError) as error:
            logger.info("task %s could not be released: %s", self._id, error)


def is_stale(error: Exception) -> bool:
    """Whether a call was refused because its execution is no longer the current one of its task."""
    return isinstance(error, TaskRpcError) and error.type in _STALE
