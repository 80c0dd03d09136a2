"""Executors that wait: how fast tasks reach one of many long polls, and what a waiting poll weighs."""

import asyncio
import random
from itertools import count
from typing import Final

import orjson

from taskrpc.bench.connection import Client, Crowd, LoadError, Script
from taskrpc.bench.messages import HEALTH, Messages
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window, clock

_MOST_IN_A_BODY: Final = 100
_PARK_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02
# Single tasks come now and then: a latency is wanted, not that of the queue behind the one before.
_PAUSE_SECONDS: Final = (0.02, 0.03)


class _Deliveries:
    """Tasks on their way: when each was sent, and whether all of a burst have arrived."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._sent: dict[str, float] = {}
        self._numbers = count()
        self._all = asyncio.Event()

    def name(self, tasks: int) -> list[str]:
        """Ids for the next burst."""
        return [f"bench-{next(self._numbers):030d}" for _ in range(tasks)]

    def send(self, ids: list[str]) -> None:
        """These tasks are sent now."""
        self._sent.update(dict.fromkeys(ids, clock()))
        self._all.clear()

    def arrived(self, body: bytes) -> None:
        """An answer has reached its poll."""
        now = clock()
        for resource in orjson.loads(body)["result"]["resources"]:
            self._window.took(self._sent.pop(resource["id"]), now)
            self._window.done(1)
        if not self._sent:
            self._all.set()

    async def all(self) -> None:
        """Waits until nothing is on its way."""
        await self._all.wait()


def _executor(messages: Messages, deliveries: _Deliveries) -> Script:
    while True:
        deliveries.arrived((yield messages.wait))


async def _burst(plan: Plan, messages: Messages, creator: Client, deliveries: _Deliveries) -> None:
    """Creates tasks and waits until each has reached a poll."""
    ids = deliveries.name(plan.burst)
    bodies = [ids[n : n + _MOST_IN_A_BODY] for n in range(0, len(ids), _MOST_IN_A_BODY)]
    requests = [(body, messages.create_named(body)) for body in bodies]
    for body, request in requests:
        deliveries.send(body)
        await creator.call(request)
    await deliveries.all()


async def _parked(creator: Client, polls: int) -> None:
    """Waits until so many polls wait on a server."""
    deadline = clock() + _PARK_SECONDS
    while orjson.loads(await creator.call(HEALTH))["waitingPolls"] < polls:
        if clock() > deadline:
            raise LoadError(f"{polls} polls did not come to wait within {_PARK_SECONDS:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)


async def _bursts(plan: Plan, messages: Messages, creator: Client, deliveries: _Deliveries, seconds: float) -> None:
    until = clock() + seconds
    while True:
        await _burst(plan, messages, creator, deliveries)
        if clock() >= until:
            return
        if plan.burst == 1:
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))


async def run(plan: Plan, window: Window) -> None:
    """`waiting` long polls on the last server, bursts of `burst` tasks on the first, one after the other.

    A burst of one is followed by a pause. A latency is that from sending a task to its arrival at an executor. Raises
    LoadError.
    """
    messages, crowd, deliveries = Messages(plan), Crowd(), _Deliveries(window)
    try:
        creator, looker = await crowd.client(plan.urls[0]), await crowd.client(plan.urls[-1])
        await creator.call(messages.define())
        window.idle()
        polls = [(plan.urls[-1], _executor(messages, deliveries)) for _ in range(plan.waiting)]
        await crowd.begin(polls)
        await crowd.work_until(_parked(looker, plan.waiting))
        await crowd.work_until(_bursts(plan, messages, creator, deliveries, plan.warm_up))
        await crowd.work_until(_parked(looker, plan.waiting))
        window.begin()
        await crowd.work_until(_bursts(plan, messages, creator, deliveries, plan.seconds))
        window.end()
    finally:
        crowd.close()
