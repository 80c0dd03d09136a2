"""When a call that went unanswered is sent again: exponential back-off, jitter, a budget of time."""

import math
from dataclasses import dataclass
from typing import Final

_BACK_SOON: Final = frozenset({502, 503, 504})
# A server that asks for more is asked again nevertheless.
_LONGEST_RETRY_AFTER: Final = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often a call is repeated; all times in seconds.

    `budget` bounds the time from the first failure to the last attempt (`math.inf`: never give up); the time
    which a long poll waited before its connection broke does not count.
    `statuses` are the HTTP statuses after which the same call may succeed later; no other answer is repeated.
    """

    budget: float = 30.0
    first_delay: float = 0.1
    longest_delay: float = 5.0
    statuses: frozenset[int] = _BACK_SOON

    @classmethod
    def persistent(cls) -> "RetryPolicy":
        """Never gives up, and takes even a server's defect (500) for something that passes: for executors."""
        return cls(budget=math.inf, statuses=_BACK_SOON | {500})

    def delay(self, attempt: int, elapsed: float, retry_after: float, jitter: float) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1), or None when the budget is used up.

        `elapsed` is the time since the first failure, `retry_after` what the server asked for (0: nothing),
        `jitter` a random number in 0…1, which spreads callers that failed together.
        """
        backoff = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, 32))
        delay = max(backoff * (0.5 + jitter / 2), min(retry_after, _LONGEST_RETRY_AFTER))
        return delay if elapsed + delay <= self.budget else None
