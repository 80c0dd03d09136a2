"""The task as the function that carries it out sees it."""

import asyncio
from collections.abc import Callable
from typing import Any

from taskrpc.core.json_text import JsonText
from taskrpc.wire.codecs import JSON

from .outbox import Feedback, Heartbeat, Notice, Progress


class Task:
    """One execution of a task. All methods return at once, and may be called from any thread.

    `resource` is the task as the service gave it out, with `id`, `definition` and `params` at hand.
    """

    def __init__(self, resource: dict[str, Any], report: Callable[[Notice], None]) -> None:
        self.resource = resource
        self.id: str = resource["id"]
        self.definition: str = resource["definition"]
        self.params: Any = resource.get("params")
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()

    def progress(self, current: int, total: int | None = None, unit: str | None = None) -> None:
        """Say how far the task is; of reports in quick succession the newest is sent."""
        self._put(Progress(int(current), None if total is None else int(total), unit))

    def message(self, text: str) -> None:
        """Write a line to the task's log."""
        self._put(Heartbeat(text))

    def feedback(self, value: Any, append: bool = False) -> None:
        """Store a value that others can read while the task runs; with `append` a list grows.

        Raises `TypeError` for a value that has no JSON form.
        """
        self._put(Feedback(JsonText(JSON.encode(value).decode()), append))

    @property
    def stop_requested(self) -> bool:
        """Whether to give up: somebody asked the task to stop, or the execution is no longer wanted."""
        return self._stop.is_set()

    async def stopped(self) -> None:
        """Wait until `stop_requested`; for async functions."""
        await self._stop.wait()

    def request_stop(self) -> None:
        """Set `stop_requested`; for the runtime, on its event loop."""
        self._stop.set()

    def _put(self, notice: Notice) -> None:
        self._loop.call_soon_threadsafe(self._report, notice)
