"""The output of a running process, for those who watch its task: the task's feedback, in batches."""

import asyncio
from typing import Any, Final

from taskrpc.executor import Task

MOST_LINES: Final = 1000
LONGEST_LINE: Final = 2000
_PAUSE_SECONDS: Final = 0.5


class Reports:
    """Appends `{lines: [{stream, text}], …}` to the feedback, twice a second at most; the first lines only."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._entries: list[dict[str, Any]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def line(self, stream: str, text: str) -> None:
        """A line of output."""
        if self._count < MOST_LINES:
            self.add({"stream": stream, "text": text[:LONGEST_LINE]})
        elif self._count == MOST_LINES:
            self.add({"stream": stream, "text": f"… further lines are not kept; these are the first {MOST_LINES}"})

    def add(self, entry: dict[str, Any]) -> None:
        """Anything else that the process told."""
        self._count += 1
        self._entries.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.flush)

    def flush(self) -> None:
        """Sends what has not been sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._entries:
            self._task.feedback({"lines": self._entries}, append=True)
            self._entries = []
