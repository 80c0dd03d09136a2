"""Executors at work: each creates a task, fetches one, starts it and ends it, over and over."""

from taskrpc.bench.connection import Crowd, Script
from taskrpc.bench.messages import Messages, Task, check_all
from taskrpc.bench.plan import Plan
from taskrpc.bench.window import Window


def single_calls(messages: Messages, window: Window) -> Script:
    """A call per step: create, poll, start, success. A latency is that of one call."""
    while True:
        yield from window.timed(messages.create)
        tasks: list[Task] = []
        while not tasks:
            tasks = messages.tasks((yield from window.timed(messages.poll)))
        for task in tasks:
            yield from window.timed(messages.start(task))
            yield from window.timed(messages.success(task))
            window.done(1)


def success_and_poll(messages: Messages, window: Window) -> Script:
    """Two calls per task: create, and a success that also fetches the next task, started."""
    yield messages.create
    tasks: list[Task] = []
    while True:
        yield from window.timed(messages.create)
        while not tasks:
            tasks = messages.tasks((yield messages.poll_started))
        tasks = messages.tasks((yield from window.timed(messages.success_and_poll(tasks[0]))))
        window.done(1)


def arrays(messages: Messages, window: Window, length: int) -> Script:
    """The four steps with a whole array in each body. A latency is that of one body."""
    create = messages.create_many(length)
    while True:
        check_all((yield from window.timed(create)))
        tasks: list[Task] = []
        while not tasks:
            tasks = messages.tasks((yield from window.timed(messages.poll)))
        check_all((yield from window.timed(messages.start_many(tasks))))
        check_all((yield from window.timed(messages.success_many(tasks))))
        window.done(len(tasks))


def _script(plan: Plan, messages: Messages, window: Window) -> Script:
    if plan.behaviour == "success-and-poll":
        return success_and_poll(messages, window)
    if plan.array > 1:
        return arrays(messages, window, plan.array)
    return single_calls(messages, window)


async def run(plan: Plan, window: Window) -> None:
    """`executors` connections, each with the script of the plan. Raises LoadError."""
    messages, crowd = Messages(plan), Crowd()
    try:
        await crowd.begin((plan.url(n), _script(plan, messages, window)) for n in range(plan.executors))
        await crowd.work(plan.warm_up)
        window.begin()
        await crowd.work(plan.seconds)
        window.end()
    finally:
        crowd.close()
