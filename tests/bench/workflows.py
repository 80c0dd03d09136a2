"""`python -m tests.bench.workflows`: whether a workflow of many parallel tasks costs more per task than one of few.

Workflows that start all their tasks in their first decision and end when the last of them is done; eight executors do
the tasks. Measured with decisions over the bare protocol, one for the end of each task, which count; and with Python's
`Executor`, whose decisions look at all activities, and so may find the last one done before its event comes. The exit
status is 1 where a task of a large workflow takes more than twice as long as one of a small. A quick try:
`--large 200 --rounds 1`.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from taskrpc import Executor
from taskrpc.bench.cluster import opened
from taskrpc.bench.servers import serving
from taskrpc.executor import Workflow
from tests.system.wire import Wire, connection

MOST_TIMES: Final = 2.0
_FLOW: Final = "bench/flow"
_STEP: Final = "bench/step"
_WORKERS: Final = 8
_LONGEST_MS: Final = 600_000

Working = Callable[[str], AbstractAsyncContextManager[None]]


async def _work(wire: Wire) -> None:
    """Does steps, one at a time, for ever."""
    poll = {"taskDefinitions": [_STEP], "start": True, "timeout": _LONGEST_MS}
    (task,) = (await wire.call("awf.task/long-poll", **poll)).result["resources"]
    while True:
        ended = await wire.call("awf.task/success", id=task["id"], execId=task["execId"], poll=poll)
        (task,) = ended.result["resources"]


async def _decide(wire: Wire) -> None:
    """Decides by counting events, for ever."""
    poll = {"workflowDefinitions": [_FLOW], "start": True, "timeout": _LONGEST_MS}
    left: dict[str, int] = {}
    (decision,) = (await wire.call("awf.task/long-poll", **poll)).result["resources"]
    while True:
        actions = await _actions(wire, decision, left)
        call = {"id": decision["id"], "execId": decision["execId"], "result": actions}
        (decision,) = (await wire.call("awf.task/success", **call, poll=poll)).result["resources"]


async def _actions(wire: Wire, decision: Any, left: dict[str, int]) -> list[Any]:
    workflow_id = decision["requester"]["id"]
    if decision["params"]["event"].endswith("/workflow-init"):
        resource = (await wire.call("awf.workflow/status", id=workflow_id)).result["resource"]
        left[workflow_id] = resource["params"]["tasks"]
        request = {"definition": _STEP}
        return [{"action": "awf.workflow.action/schedule-task", "task-request": request}] * left[workflow_id]
    left[workflow_id] -= 1
    return [] if left[workflow_id] else [{"action": "awf.workflow.action/complete-workflow"}]


@contextlib.asynccontextmanager
async def bare_protocol(url: str) -> AsyncIterator[None]:
    """Executors that count."""
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        wires = [await stack.enter_async_context(connection(url)) for _ in range(_WORKERS + 1)]
        working = [group.create_task(_work(wire)) for wire in wires[1:]]
        working.append(group.create_task(_decide(wires[0])))
        yield
        for each in working:
            each.cancel()


@contextlib.asynccontextmanager
async def in_python(url: str) -> AsyncIterator[None]:
    """An executor whose function looks at the activities."""
    executor = Executor(url)

    @executor.workflow(_FLOW)
    def decide(workflow: Workflow) -> None:
        steps = [workflow.execute(_STEP, label=f"step-{n}") for n in range(workflow.params["tasks"])]
        if all(step.done for step in steps):
            workflow.complete()

    @executor.task(_STEP, concurrency=_WORKERS)
    async def step(task: object) -> None:
        pass

    running = asyncio.create_task(executor.serve())
    yield
    executor.drain()
    await running


async def _seconds(wire: Wire, tasks: int) -> float:
    """How long a workflow of so many tasks takes."""
    began = time.perf_counter()
    created = await wire.call("awf.workflow/create-and-execute", definition=_FLOW, params={"tasks": tasks})
    workflow_id = created.result["resource"]["id"]
    ended = await wire.call("awf.workflow/result", id=workflow_id, timeout=_LONGEST_MS)
    assert ended.result["resource"]["outcome"] == "succeeded", ended.body
    return time.perf_counter() - began


async def _measure(name: str, working: Working, url: str, options: argparse.Namespace) -> bool:
    """Prints a line; answers whether the large workflow is as good as it has to be."""
    async with connection(url) as wire, working(url):
        await _seconds(wire, options.small)
        small, large = [], []
        for _ in range(options.rounds):  # alternating: what else the machine does concerns both
            small.append(await _seconds(wire, options.small) / options.small)
            large.append(await _seconds(wire, options.large) / options.large)
    usual, much = statistics.median(small) * 1000, statistics.median(large) * 1000
    print(f"{name:<16} {usual:12.2f} {much:12.2f} {much / usual:8.2f}", flush=True)
    return bool(much <= MOST_TIMES * usual)


async def _run(options: argparse.Namespace) -> int:
    print(f"{'ms per task':<16} {f'of {options.small}':>12} {f'of {options.large}':>12} {'times':>8}")
    async with opened(options.database_url) as cluster, cluster.database() as url, serving(url, 1) as servers:
        good = [
            await _measure(name, working, servers.urls[0], options)
            for name, working in (("bare protocol", bare_protocol), ("Executor", in_python))
        ]
    return 0 if all(good) else 1


def main() -> int:
    """Measures and prints a table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workflows", description=__doc__)
    parser.add_argument("--small", type=int, default=100, help="tasks of the small workflow; default 100")
    parser.add_argument("--large", type=int, default=1000, help="tasks of the large workflow; default 1000")
    parser.add_argument("--rounds", type=int, default=5, help="workflows of each size; default 5")
    parser.add_argument("--database-url", help="PostgreSQL to use; without, an embedded one")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
