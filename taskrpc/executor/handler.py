"""The function that carries out the tasks of one definition, and what may come of calling it."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from taskrpc.core.json_text import JsonText
from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .task import Task

_LONGEST_TRACEBACK: Final = 16_000


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


Ending = Success | Failure


def _storable(text: str) -> str:
    """PostgreSQL holds neither NUL nor lone surrogates; a message has to arrive whatever is in it."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Handler:
    """A function, sync or async, for one definition; `concurrency` executions of it run at a time."""

    definition: str
    function: Callable[[Task], Any]
    concurrency: int

    @property
    def is_async(self) -> bool:
        """Whether the function runs on the event loop; otherwise each call gets a thread."""
        call = type(self.function).__call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    async def call(self, task: Task) -> Ending:
        """Run the function to its end. Cancelling the call cancels an async function and deserts a thread."""
        if not self.is_async:
            return await _in_thread(lambda: _settle(self.function, task))
        try:
            return Success.of(await self.function(task))
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return Failure.of(error)
        except (Exception, SystemExit) as error:
            return Failure.of(error)


def _settle(function: Callable[[Task], Any], task: Task) -> Ending:
    try:
        return Success.of(function(task))
    except BaseException as error:
        return Failure.of(error)


async def _in_thread(work: Callable[[], Ending]) -> Ending:
    """A daemon thread, not a pool's: one that never returns must not keep the process from ending."""
    outcome: concurrent.futures.Future[Ending] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        outcome.set_result(context.run(work))

    threading.Thread(target=run, name="taskrpc-task", daemon=True).start()
    return await asyncio.wrap_future(outcome)
