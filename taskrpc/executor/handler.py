"""The function that carries out the tasks of one definition, and what may come of calling it."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskrpc.client import AsyncClient
from taskrpc.core.json_text import JsonText
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .task import Task
from .workflow import Workflow

_LONGEST_TRACEBACK: Final = 16_000
_LONGEST_SHORT: Final = 2000


@dataclass(frozen=True, slots=True)
class Success:
    """The function returned; `result` is what the task ends with, None if that is nothing."""

    result: JsonText | None

    @classmethod
    def of(cls, result: object) -> "Success":
        """Raises `TypeError` for a result that has no JSON form."""
        return cls(None if result is None else JsonText(JSON.encode(result).decode()))


@dataclass(frozen=True, slots=True)
class Failure:
    """The function raised, or its result was refused; `error` is `{type, message, traceback, data?}`."""

    error: dict[str, Any]

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """A `TaskRpcError` keeps its own type and data; of others the class is the type."""
        # Without the frame of the runtime that called the function.
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        trace = "".join(traceback.format_exception(type(error), error, frames))[-_LONGEST_TRACEBACK:]
        if isinstance(error, TaskRpcError):
            described = error.to_wire()
        else:
            described = {"type": type(error).__qualname__, "message": str(error)}
        message = _storable(str(described["message"]))
        return cls({**described, "message": message, "traceback": _storable(trace)})

    def in_short(self, refusal: TaskRpcError) -> "Failure":
        """What is left of an error that was refused: its type, and how its message begins."""
        message = f"{self.error['message'][:_LONGEST_SHORT]} (without its data, which were refused: {refusal.message})"
        return Failure({"type": self.error["type"], "message": message})


Ending = Success | Failure


def _storable(text: str) -> str:
    """PostgreSQL holds neither NUL nor lone surrogates; a message has to arrive whatever is in it."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


Queue = tuple[str, str]
"""`task` or `workflow`, and a definition: what polls ask for."""


def queue_of(resource: Mapping[str, Any]) -> Queue:
    """Where a task that was handed out comes from."""
    workflow: str | None = resource.get("workflow-definition")
    return ("task", resource["definition"]) if workflow is None else ("workflow", workflow)


@dataclass(frozen=True)
class Handler:
    """A function, sync or async, for one definition; `concurrency` executions of it run at a time."""

    definition: str
    function: Callable[[Any], Any]
    concurrency: int

    @property
    def queue(self) -> Queue:
        """What has to be polled for it."""
        return "task", self.definition

    @property
    def is_async(self) -> bool:
        """Whether the function runs on the event loop; otherwise each call gets a thread."""
        call = type(self.function).__call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    async def call(self, task: Task, client: AsyncClient) -> Ending:
        """Run the function to its end. Cancelling the call cancels an async function and deserts a thread."""
        try:
            argument = await self._argument(task, client)
            if not self.is_async:
                return await _in_thread(lambda: self._settle(argument))
            return Success.of(self._result(argument, await self.function(argument)))
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return Failure.of(error)
        except (Exception, SystemExit) as error:
            return Failure.of(error)

    def _settle(self, argument: Any) -> Ending:
        try:
            return Success.of(self._result(argument, self.function(argument)))
        except BaseException as error:
            return Failure.of(error)

    async def _argument(self, task: Task, client: AsyncClient) -> Any:
        """What the function is called with."""
        return task

    def _result(self, argument: Any, returned: object) -> object:
        """What the task ends with, once the function has returned."""
        return returned


class DecisionHandler(Handler):
    """A function that decides about the workflows of one definition."""

    @property
    def queue(self) -> Queue:
        return "workflow", self.definition

    async def _argument(self, task: Task, client: AsyncClient) -> Workflow:
        workflow_id = task.resource["requester"]["id"]
        status = await client.workflow_status(workflow_id, include_activities=True)
        return Workflow(task, status["resource"], status["activities"])

    def _result(self, argument: Workflow, returned: object) -> object:
        if returned is not None:
            raise TypeError("a function that decides returns nothing: it says complete(result) or fail(error)")
        return argument.actions


async def _in_thread(work: Callable[[], Ending]) -> Ending:
    """A daemon thread, not a pool's: one that never returns must not keep the process from ending."""
    outcome: concurrent.futures.Future[Ending] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        outcome.set_result(context.run(work))

    threading.Thread(target=run, name="taskrpc-task", daemon=True).start()
    return await asyncio.wrap_future(outcome)
