"""Many executions on two servers, one of which is killed midway: all of them come out right."""

import asyncio
import itertools
from collections import Counter
from typing import Any, Final

import asyncpg
import httpx2

from tests.databases import connected
from tests.services import Rpc
from tests.system.conftest import Serve
from tests.system.waiting import until

EXECUTIONS: Final = 200
WORK: Final = "fleet/work"
LEAF: Final[dict[str, Any]] = {"type": WORK, "retry": {"type": "constant", "interval": "PT0.1S", "maxAttempts": 10}}
# 20 leaves: five blocks, one after the other, of four side by side; each block is given what the one before has made.
FLOW: Final[dict[str, Any]] = {
    "id": "fleet",
    "namespace": "company.team",
    "tasks": [
        {
            "id": f"block{block}",
            "type": "core.flow.Parallel",
            "tasks": [
                {
                    "id": f"leaf{block}{n}",
                    **LEAF,
                    "of": f"{{{{ outputs.leaf{block - 1}{n}.made }}}}" if block else str(n),
                }
                for n in range(4)
            ],
        }
        for block in range(5)
    ],
    "outputs": [{"id": f"made{n}", "type": "INT", "value": f"{{{{ outputs.leaf4{n}.made }}}}"} for n in range(4)],
}
ENDED: Final = "select count(*) from taskrpc.task where kind = 'workflow' and status = 'done'"

RUNS: Final = """
select execution, body ->> 'task' as task, count(*) as number from taskrpc.execution_run where n > 0 group by 1, 2
"""
SUCCEEDED: Final = """
select parent_id, split_part(label, '/', 1) as task, count(*) as number from taskrpc.task
where kind = 'task' and outcome = 'succeeded' group by 1, 2
"""


class Executors:
    """Executors that go on with another server when one does not answer."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self.done = 0

    async def are_halfway(self) -> bool:
        """Whether half of the tasks of all executions are done."""
        return self.done > EXECUTIONS * 10

    async def work(self, first: int) -> None:
        """Works for ever: what is made is one more than what was given."""
        for turn in itertools.count(first):
            async with Rpc(self.urls[turn % len(self.urls)]) as rpc:
                try:
                    await self._serve(rpc)
                except (httpx2.TransportError, AssertionError):
                    await asyncio.sleep(0.05)

    async def _serve(self, rpc: Rpc) -> None:
        for _ in range(50):
            polled = await rpc.call(
                "awf.task/long-poll", taskDefinitions=[WORK], start=True, maxBatchSize=50, timeout=500
            )
            tasks = polled.result["resources"]
            ends = [
                {
                    "method": "awf.task/success",
                    "params": {
                        "id": task["id"], "execId": task["execId"], "result": {"made": int(task["params"]["of"]) + 1},
                    },
                }
                for task in tasks
            ]  # fmt: skip
            if ends:
                assert (await rpc.post(ends)).status == 200
                self.done += len(ends)


async def test_executions_on_two_servers_come_out_right_although_one_is_killed(database_url: str, serve: Serve) -> None:
    first, second = await asyncio.gather(serve(database_url), serve(database_url))
    async with Rpc(second.url) as rpc, connected(database_url) as observer:
        assert (await rpc.call("awf.definition/put", id=WORK, inProgressTimeout=2000)).status == 200
        assert (await rpc.call("awf.flow/put", **FLOW)).status == 200
        executors = Executors(first.url, second.url)
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(executors.work(n)) for n in range(4)]
            await _begin(first.url, second.url)
            await until(executors.are_halfway, 120)
            await first.kill()
            await until(lambda: _all_ended(observer), 120)
            for each in working:
                each.cancel()
        await _check(observer)


async def _begin(*urls: str) -> None:
    for n in range(EXECUTIONS):
        async with Rpc(urls[n % 2]) as rpc:
            assert (await rpc.call("awf.workflow/create-and-execute", definition="company.team.fleet")).status == 200


async def _all_ended(observer: asyncpg.Connection) -> bool:
    return bool(await observer.fetchval(ENDED) == EXECUTIONS)


async def _check(observer: asyncpg.Connection) -> None:
    rows = await observer.fetch("select state, result::text from taskrpc.task where kind = 'workflow'")
    assert Counter(row["state"] for row in rows) == {"SUCCESS": EXECUTIONS}
    assert {row["result"] for row in rows} == {'{"made0":5,"made1":6,"made2":7,"made3":8}'}
    runs = await observer.fetch(RUNS)
    assert {row["number"] for row in runs} == {1}, "every task of every execution has one run"
    assert len(runs) == EXECUTIONS * 25
    succeeded = await observer.fetch(SUCCEEDED)
    assert Counter(row["number"] for row in succeeded) == {1: EXECUTIONS * 20}, "no task was done twice"
