"""A queue that was filled before is emptied: what others call draining. Nothing is created while it is measured."""

import asyncio
from typing import Final

from taskrpc.bench.connection import Crowd, Script
from taskrpc.bench.messages import Messages, Task, check_all
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window

_MOST_IN_A_BODY: Final = 1000


async def _fill(plan: Plan, messages: Messages, crowd: Crowd) -> None:
    client = await crowd.client(plan.urls[0])
    for made in range(0, plan.queued, _MOST_IN_A_BODY):
        check_all(await client.call(messages.create_many(min(_MOST_IN_A_BODY, plan.queued - made))))


def _executor(
    messages: Messages, window: Window, number: int, at_work: set[int], empty: "asyncio.Future[None]"
) -> Script:
    at_work.add(number)
    tasks: list[Task] = messages.tasks((yield messages.poll_array_started))
    while tasks:
        answer = yield from window.timed(messages.success_many_and_poll(tasks))
        check_all(answer)
        window.done(len(tasks))
        tasks = messages.tasks(answer)
    at_work.discard(number)
    if not at_work:
        empty.set_result(None)


async def run(plan: Plan, window: Window) -> None:
    """`executors` connections fetch and end `queued` tasks, an array in each body. A latency is that of one body.

    Measured is from the first poll to the last end. Raises LoadError.
    """
    messages, crowd, at_work = Messages(plan), Crowd(), set[int]()
    empty: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        await crowd.work_until(_fill(plan, messages, crowd))
        scripts = [(plan.url(n), _executor(messages, window, n, at_work, empty)) for n in range(plan.executors)]
        window.begin()
        await crowd.begin(scripts)
        await crowd.work_until(empty)
        window.end()
    finally:
        crowd.close()
