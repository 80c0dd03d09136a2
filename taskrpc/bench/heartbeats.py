"""Executors that say that they are alive: heartbeats of many running tasks, as fast as the server takes them."""

from itertools import cycle
from typing import Final

from taskrpc.bench.connection import Client, Crowd, Script
from taskrpc.bench.messages import Messages, Task, check_all
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window

_MOST_IN_A_BODY: Final = 100


async def _started(plan: Plan, messages: Messages, client: Client) -> list[Task]:
    await client.call(messages.define())
    for made in range(0, plan.running, _MOST_IN_A_BODY):
        check_all(await client.call(messages.create_many(min(_MOST_IN_A_BODY, plan.running - made))))
    tasks: list[Task] = []
    while len(tasks) < plan.running:
        tasks += messages.tasks(await client.call(messages.poll_many_started))
    return tasks


def _executor(messages: Messages, window: Window, tasks: list[Task]) -> Script:
    for task in cycle(tasks):
        yield from window.timed(messages.heartbeat(task))
        window.done(1)


async def run(plan: Plan, window: Window) -> None:
    """`running` tasks in progress, whose heartbeats come over `executors` connections. Raises LoadError."""
    messages, crowd = Messages(plan), Crowd()
    try:
        tasks = await _started(plan, messages, await crowd.client(plan.urls[0]))
        connections = min(plan.executors, plan.running)
        shares = [tasks[n::connections] for n in range(connections)]
        await crowd.begin((plan.url(n), _executor(messages, window, share)) for n, share in enumerate(shares))
        await crowd.work(plan.warm_up)
        window.begin()
        await crowd.work(plan.seconds)
        window.end()
    finally:
        crowd.close()
