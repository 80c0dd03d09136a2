"""One executor that fetches tasks from a queue in some state: how long a poll takes."""

import asyncio
from dataclasses import replace
from typing import Final

from taskrpc.bench.connection import Crowd, Script
from taskrpc.bench.life_cycle import arrays
from taskrpc.bench.messages import Messages, Task
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window

_CHURNING: Final = 4
_CHURNED_AT_ONCE: Final = 100


class _Churn(Window):
    """Counts tasks until there were enough."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self._left = tasks
        self._enough = asyncio.Event()

    def done(self, tasks: int) -> None:
        self._left -= tasks
        if self._left <= 0:
            self._enough.set()

    async def enough(self) -> None:
        """Waits until so many tasks have gone the whole way."""
        await self._enough.wait()


def _executor(messages: Messages, window: Window) -> Script:
    while True:
        yield messages.create
        tasks: list[Task] = []
        while not tasks:
            tasks = messages.tasks((yield from window.timed(messages.poll)))
        for task in tasks:
            yield messages.start(task)
            yield messages.success(task)
            window.done(1)


async def _churn(plan: Plan) -> None:
    messages, window, crowd = Messages(replace(plan, array=_CHURNED_AT_ONCE)), _Churn(plan.churn), Crowd()
    try:
        scripts = [arrays(messages, window, _CHURNED_AT_ONCE) for _ in range(_CHURNING)]
        await crowd.begin((plan.urls[0], script) for script in scripts)
        await crowd.work_until(window.enough())
    finally:
        crowd.close()


async def run(plan: Plan, window: Window) -> None:
    """After `churn` tasks went the whole way, one executor works; a latency is that of a poll. Raises LoadError."""
    if plan.churn:
        await _churn(plan)
    messages, crowd = Messages(plan), Crowd()
    try:
        await crowd.begin([(plan.urls[0], _executor(messages, window))])
        await crowd.work(plan.warm_up)
        window.begin()
        await crowd.work(plan.seconds)
        window.end()
    finally:
        crowd.close()
