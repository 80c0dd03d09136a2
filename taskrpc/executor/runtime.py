"""The loops of a running executor: polls, executions, and the orderly end of both."""

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any, Final

from taskrpc.client import AsyncClient
from taskrpc.errors import TaskRpcError

from .execution import Execution
from .handler import Handler, Queue, queue_of
from .slots import Slots

logger = logging.getLogger("taskrpc.executor")

_LARGEST_BATCH: Final = 1000
# A poll that comes back empty sooner than this did not wait: the server is draining.
_TOO_SOON: Final = 1.0


class Runtime:
    """Long-polls for as many tasks as there are free slots and runs them, until `drain` is called."""

    def __init__(
        self, client: AsyncClient, handlers: Mapping[Queue, Handler], *, grace: float, poll_timeout: float
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._grace = grace
        self._poll_timeout = poll_timeout
        self._slots = Slots({queue: handler.concurrency for queue, handler in handlers.items()})
        self._executions: dict[asyncio.Task[None], Execution] = {}
        self._draining = asyncio.Event()
        self._refusal: TaskRpcError | None = None
        self._patience: asyncio.Timeout | None = None

    def drain(self) -> None:
        """Take on nothing more and end within the grace period; a second call ends the grace at once."""
        if self._draining.is_set():
            self._grace = 0.0
            if self._patience is not None and not self._patience.expired():
                self._patience.reschedule(asyncio.get_running_loop().time())
        self._draining.set()

    async def run(self) -> None:
        """Work until drained. Raises the `TaskRpcError` with which a poll was refused for good."""
        async with asyncio.TaskGroup() as executions:
            polling = executions.create_task(self._poll_forever(executions))
            await self._draining.wait()
            polling.cancel()
            await self._let_finish()
        if self._refusal is not None:
            raise self._refusal

    async def _poll_forever(self, executions: asyncio.TaskGroup) -> None:
        async with asyncio.TaskGroup() as polls:
            while True:
                for free, queues in self._slots.claim_polls():
                    polls.create_task(self._poll(free, queues, executions))
                await self._slots.changed()

    async def _poll(self, free: int, queues: list[Queue], executions: asyncio.TaskGroup) -> None:
        began = asyncio.get_running_loop().time()
        timeout = round(self._poll_timeout * 1000)
        try:
            answer = await self._client.long_poll(
                [definition for kind, definition in queues if kind == "task"] or None,
                workflow_definitions=[definition for kind, definition in queues if kind == "workflow"] or None,
                max_batch_size=min(free, _LARGEST_BATCH),
                timeout=timeout,
            )
            for resource in answer["resources"]:
                self._begin(resource, executions)
            waited = asyncio.get_running_loop().time() - began
            if not answer["resources"] and waited < min(_TOO_SOON, self._poll_timeout / 2):
                await asyncio.sleep(_TOO_SOON * random.uniform(0.5, 1))
        except TaskRpcError as refusal:
            logger.error("polling for %s was refused: %s", ", ".join(definition for _, definition in queues), refusal)
            self._refusal = refusal
            self.drain()
        finally:
            self._slots.end_poll(queues)

    def _begin(self, resource: dict[str, Any], executions: asyncio.TaskGroup) -> None:
        handler = self._handlers[queue_of(resource)]
        self._slots.take(handler.queue)
        execution = Execution(self._client, handler, resource)
        run = executions.create_task(execution.run())
        self._executions[run] = execution
        run.add_done_callback(lambda run: self._over(run, handler))

    def _over(self, run: asyncio.Task[None], handler: Handler) -> None:
        del self._executions[run]
        self._slots.give_back(handler.queue)

    async def _let_finish(self) -> None:
        for run, execution in self._executions.items():
            if not execution.started:
                run.cancel()
        logger.info("draining: %d tasks have %g s to finish", len(self._executions), self._grace)
        try:
            async with asyncio.timeout(self._grace) as self._patience:
                while self._executions:
                    await asyncio.wait(self._executions)
        except TimeoutError:
            for run in self._executions:
                run.cancel()
        finally:
            self._patience = None
