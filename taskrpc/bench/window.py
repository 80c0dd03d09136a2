"""The part of a load that counts, and how the load's process tells of it.

The process gets its order as the first line of its standard input and stays until that is closed, so that it can be
looked at. It tells of events on its standard output, a JSON document per line:

{"event": "idle"}     nothing waits yet (of loads that measure what waiting costs)
{"event": "begin"}    the measurement begins
{"event": "end"}      it has ended
{"event": "result", "tasks": …, "seconds": …, "latencies": [microseconds, …]}
{"event": "failed", "message": …}
"""

import sys
import time
from collections.abc import Generator
from typing import Final

import orjson

clock: Final = time.perf_counter
Call = Generator[bytes, bytes, bytes]


def read_order() -> bytes:
    """What this process is to do: one JSON document."""
    return sys.stdin.buffer.readline()


def wait_for_dismissal() -> None:
    """Stays until the process that started this one has seen what it needs, or has died."""
    sys.stdin.buffer.read()


def say(event: str, **fields: object) -> None:
    """Tells the process that started this one."""
    sys.stdout.buffer.write(orjson.dumps({"event": event, **fields}) + b"\n")
    sys.stdout.buffer.flush()


class Window:
    """Counts tasks and keeps latencies between `begin` and `end`; what happens before and after is forgotten."""

    def __init__(self) -> None:
        self.is_open = False
        self.latencies: list[int] = []
        self.tasks = 0
        self._began = 0.0

    def idle(self) -> None:
        """Tells that the servers have worked and nothing waits on them yet."""
        say("idle")

    def begin(self) -> None:
        """Begins the measurement."""
        say("begin")
        self.is_open, self._began = True, clock()

    def end(self) -> None:
        """Ends the measurement and tells what was counted."""
        seconds = clock() - self._began
        self.is_open = False
        say("end")
        say("result", tasks=self.tasks, seconds=seconds, latencies=self.latencies)

    def done(self, tasks: int) -> None:
        """Tasks have gone the whole way."""
        if self.is_open:
            self.tasks += tasks

    def took(self, sent: float, now: float) -> None:
        """Something that was sent at one time of `clock` had its effect at another."""
        if self.is_open:
            self.latencies.append(round((now - sent) * 1e6))

    def timed(self, request: bytes) -> Call:
        """The part of a script that sends one request and keeps how long its answer took; returns the body."""
        sent = clock()
        body = yield request
        self.took(sent, clock())
        return body
