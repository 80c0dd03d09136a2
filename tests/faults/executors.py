"""`python -m tests.faults.executors`: a process with executors that fail, hang, forget, and come back too late.

They write their own history, and work until they are killed.
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tests.faults.courses import LEAF, POISONED_LEAF
from tests.faults.definitions import TASKS
from tests.faults.flows import FLOW, POISONED, STEP, next_actions
from tests.faults.parties import Address, Party, over_http
from tests.faults.recorder import Recorder
from tests.services import Reply

_HANG_SECONDS: Final = 4.0
_WORK_SECONDS: Final = 0.05


class Executor(Party):
    """Works on everything that there is."""

    async def run(self) -> None:
        """Polls and executes for ever."""
        while True:
            for task in await self._poll():
                await self._execute(task)

    async def _poll(self) -> list[Any]:
        queues = {"taskDefinitions": [*TASKS, STEP, POISONED, LEAF, POISONED_LEAF], "workflowDefinitions": [FLOW]}
        further = {"maxBatchSize": self.chance.randint(1, 4)} | ({"start": True} if self.happens(0.3) else {})
        if self.happens(0.8):
            reply = await self.call("awf.task/long-poll", **queues, **further, timeout=self.chance.randint(200, 5000))
        else:
            reply = await self.call("awf.task/poll", **queues, **further)
        resources: list[Any] = reply.result["resources"] if reply is not None and reply.status == 200 else []
        return resources

    async def _execute(self, task: Any) -> None:
        if self.happens(0.01):
            return  # forgotten: it is never started, or never ended
        if task["status"] == "requested" and not await self._start(task):
            return
        if self.happens(0.01):
            return  # the executor died at work
        await asyncio.sleep(_HANG_SECONDS if self.happens(0.01) else self.chance.uniform(0, _WORK_SECONDS))
        if self.happens(0.1):
            await self._of("notify", task, notification="heartbeat")
        await self._end(task)

    async def _start(self, task: Any) -> bool:
        reply = await self._of("start", task)
        return reply is not None and reply.status == 200

    async def _of(self, method: str, task: Any, **params: Any) -> Reply | None:
        """A call of an execution, repeated with its callId; some executors send none, and do not repeat a start."""
        call = {"id": task["id"], "execId": task["execId"], **params}
        if self.happens(0.8):
            return await self.insist(f"awf.task/{method}", attempts=20, callId=self.identifier(), **call)
        if method in ("success", "fail"):
            return await self.insist(f"awf.task/{method}", attempts=20, **call)
        return await self.call(f"awf.task/{method}", **call)

    async def _end(self, task: Any) -> None:
        if task["definition"] in (POISONED, POISONED_LEAF):
            await self._of("fail", task, error="poison")
        elif "workflow-definition" in task:
            await self._decide(task)
        elif self.happens(0.05):
            await self._of("fail", task, error={"message": "bad luck"})
        elif self.happens(0.03):
            await self._of("release", task)
        elif self.happens(0.05):
            await self._of("feedback", task, feedback={"by": self.name})
            await self._of("success", task, result={"by": self.name})
        else:
            await self._of("success", task, result={"by": self.name})

    async def _decide(self, task: Any) -> None:
        workflow_id = task["requester"]["id"]
        reply = await self.insist("awf.workflow/status", attempts=20, id=workflow_id, **{"include-activities?": True})
        if reply is not None and reply.status == 200:
            actions = next_actions(reply.result["resource"]["params"], reply.result["activities"])
            await self._of("success", task, result=actions)


async def work(file: Path, name: str, servers: Sequence[Address], count: int, seed: str) -> None:
    """Lets so many executors work until the process ends."""
    recorder = Recorder(file)
    with ExitStack() as at_the_end:
        async with asyncio.TaskGroup() as group:
            for n in range(count):
                clients = over_http(recorder, f"{name}.{n}", servers, at_the_end)
                group.create_task(Executor(f"{name}.{n}", clients, seed).run())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.executors", description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="where the history is written")
    parser.add_argument("--name", required=True, help="of the process; those of its executors begin with it")
    parser.add_argument("--count", type=int, default=8, help="how many executors")
    parser.add_argument("--seed", default="0", help="of their chances")
    parser.add_argument("--server", action="append", required=True, metavar="NAME=URL", help="may be repeated")
    given = parser.parse_args()
    servers = [(name, url) for name, _, url in (server.partition("=") for server in given.server)]
    asyncio.run(work(given.file, given.name, servers, given.count, given.seed))


if __name__ == "__main__":
    main()
