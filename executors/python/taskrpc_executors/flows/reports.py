"""The output of a running process, for those who watch its task: the task's feedback, in batches."""

import asyncio
from typing import Any, Final

from taskrpc.executor import Task
from taskrpc.wire.codecs import JSON

MOST_LINES: Final = 1000
LONGEST_LINE: Final = 2000
# In bytes of JSON; the service keeps 1 MiB of feedback.
LARGEST_LINES: Final = 600_000
LARGEST_METRICS: Final = 300_000
_PAUSE_SECONDS: Final = 0.5


class _Allowance:
    """How much of a kind of entries is kept: what comes first."""

    def __init__(self, largest: int) -> None:
        self._left = MOST_LINES
        self._bytes = largest
        self._is_over = False

    def takes(self, entry: dict[str, Any]) -> bool | None:
        """Whether an entry is kept; None for the first that is not."""
        if self._is_over:
            return False
        self._left -= 1
        self._bytes -= len(JSON.encode(entry))
        self._is_over = self._left < 0 or self._bytes < 0
        return None if self._is_over else True


class Reports:
    """Appends `{lines: [{stream, text} or {metrics}, …]}` to the feedback, twice a second at most; the first ones of
    both only."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._entries: list[dict[str, Any]] = []
        self._lines, self._metrics = _Allowance(LARGEST_LINES), _Allowance(LARGEST_METRICS)
        self._timer: asyncio.TimerHandle | None = None

    def line(self, stream: str, text: str) -> None:
        """A line of output."""
        self._add(self._lines, {"stream": stream, "text": text[:LONGEST_LINE]}, "lines")

    def metrics(self, told: dict[str, Any]) -> None:
        """Metrics that the process told."""
        self._add(self._metrics, told, "metrics")

    def _add(self, allowance: _Allowance, entry: dict[str, Any], what: str) -> None:
        match allowance.takes(entry):
            case None:
                entry = {"stream": "stderr", "text": f"… further {what} are not kept"}
            case False:
                return
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
