"""The executor as a program uses it: functions registered for definitions, and a process that runs them."""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Final, TypeVar

from taskrpc.client import AsyncClient, RetryPolicy

from .handler import DecisionHandler, Handler, Queue
from .runtime import Runtime
from .task import Task
from .workflow import Workflow

logger = logging.getLogger("taskrpc.executor")

# A connection that swallows everything must not cost a task its heartbeats: it is given up and made anew.
_TIMEOUT: Final = 15.0

Function = TypeVar("Function", bound=Callable[[Task], Any])
Decider = TypeVar("Decider", bound=Callable[[Workflow], Any])


class Executor:
    """Carries out tasks with Python functions, sync (each call in a thread) or async.

        executor = Executor("http://127.0.0.1:8080")

        @executor.task("demo/greet", concurrency=8)
        def greet(task: Task) -> dict[str, str]:
            return {"greeting": f"Hello, {task.params['name']}"}

        executor.run()

    What the function returns is the task's result, and what it raises its error. Tasks are kept alive by
    heartbeats meanwhile; an outage of the service loses no result. A long poll waits `poll_timeout` seconds.
    After `drain` running tasks have `grace` seconds to finish; then they are handed back.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, grace: float = 30.0, poll_timeout: float = 60.0
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._grace = grace
        self._poll_timeout = poll_timeout
        self._handlers: dict[Queue, Handler] = {}
        self._running: tuple[asyncio.AbstractEventLoop, Runtime] | None = None

    def task(self, definition: str, *, concurrency: int = 1) -> Callable[[Function], Function]:
        """Register the decorated function for the tasks of `definition`, `concurrency` of them at a time.

        Raises `ValueError` for a definition that has a function already and for a concurrency below 1.
        """

        def register(function: Function) -> Function:
            self._register(Handler(definition, function, concurrency))
            return function

        return register

    def workflow(self, definition: str, *, concurrency: int = 1) -> Callable[[Decider], Decider]:
        """Register the decorated function to decide about the workflows of `definition`, as `task` does for tasks.

        It is called whenever something has happened to a workflow, with a `Workflow`: there it says what is to be
        done next. It returns nothing. What it raises fails the decision, which is then tried again.
        """

        def register(function: Decider) -> Decider:
            self._register(DecisionHandler(definition, function, concurrency))
            return function

        return register

    def _register(self, handler: Handler) -> None:
        if handler.queue in self._handlers:
            raise ValueError(f"{handler.definition!r} has a function already")
        if handler.concurrency < 1:
            raise ValueError(
                f"the concurrency of {handler.definition!r} has to be 1 or more, not {handler.concurrency}"
            )
        self._handlers[handler.queue] = handler

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, which drain; a second one ends the grace period at once."""
        asyncio.run(self._serve_until_signal())

    async def serve(self) -> None:
        """Serve on the running loop until `drain` is called.

        Raises `TaskRpcError` when the service refuses to hand out tasks (a wrong key, an unknown method), and
        `ValueError` when no function is registered. Cancelling it hands running tasks back.
        """
        if not self._handlers:
            raise ValueError("the executor has no function: register one with @executor.task(definition)")
        retry = RetryPolicy.persistent()
        async with AsyncClient(self._url, api_key=self._api_key, timeout=_TIMEOUT, retry=retry) as client:
            logger.info("carrying out %s for %s", ", ".join(definition for _, definition in self._handlers), self._url)
            runtime = Runtime(client, self._handlers, grace=self._grace, poll_timeout=self._poll_timeout)
            self._running = asyncio.get_running_loop(), runtime
            try:
                await runtime.run()
            finally:
                self._running = None

    def drain(self) -> None:
        """Stop taking on tasks and let `serve` return when the running ones are done; from any thread."""
        if self._running is not None:
            loop, runtime = self._running
            loop.call_soon_threadsafe(runtime.drain)

    async def _serve_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        await self.serve()
