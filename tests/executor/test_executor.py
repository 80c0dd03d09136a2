"""The executor as a whole: its slots, its end, and the service going away under it."""

import asyncio
from collections import Counter
from itertools import cycle

import pytest

from taskrpc import AsyncClient, Executor, Task, TaskRpcError
from tests.client.cutting_proxy import CuttingProxy, Fault, cutting_proxy, http_answer
from tests.executor.conftest import DEADLINE, DEFINITION, create, done, resource_of, serving
from tests.services import running_service
from tests.system.waiting import until


class Gate:
    """An async function that waits until it is opened, and counts how many of it run."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.running = 0
        self.most = 0
        self.runs: Counter[str] = Counter()

    async def __call__(self, task: Task) -> str:
        self.runs[task.id] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await self.opened.wait()
        self.running -= 1
        return "through"

    async def holds(self, number: int) -> None:
        async def full() -> bool:
            return self.running == number

        await until(full)


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def statuses(client: AsyncClient) -> Counter[str]:
    return Counter(task["status"] for task in (await client.list())["resources"])


async def test_no_more_tasks_are_taken_on_than_run_at_a_time(url: str, client: AsyncClient, gate: Gate) -> None:
    executor = Executor(url)
    executor.task(DEFINITION, concurrency=3)(gate)
    ids = [await create(client) for _ in range(10)]
    async with serving(executor):
        await gate.holds(3)
        assert await statuses(client) == {"in-progress": 3, "ready": 7}
        gate.opened.set()
        for id in ids:
            assert (await done(client, id))["result"] == "through"
    assert gate.most == 3


async def test_definitions_are_served_side_by_side(url: str, client: AsyncClient, gate: Gate) -> None:
    executor = Executor(url)
    executor.task(DEFINITION, concurrency=1)(gate)
    executor.task("test/quick", concurrency=1)(lambda task: "quick")
    async with serving(executor):
        held = await create(client)
        await gate.holds(1)
        for _ in range(3):
            quick = await create(client, definition="test/quick")
            assert (await done(client, quick))["result"] == "quick"
        gate.opened.set()
        await done(client, held)


async def test_draining_lets_running_tasks_finish_and_takes_on_no_more(
    url: str, client: AsyncClient, gate: Gate
) -> None:
    executor = Executor(url)
    executor.task(DEFINITION, concurrency=1)(gate)
    first, second = await create(client), await create(client)
    async with serving(executor) as serve:
        await gate.holds(1)
        executor.drain()
        await asyncio.sleep(0)
        gate.opened.set()
        async with asyncio.timeout(DEADLINE):
            await serve
    assert (await resource_of(client, first))["outcome"] == "succeeded"
    assert (await resource_of(client, second))["status"] == "ready"


async def test_what_outlasts_the_grace_period_is_handed_back(url: str, client: AsyncClient, gate: Gate) -> None:
    executor = Executor(url, grace=0.05)
    executor.task(DEFINITION, concurrency=2)(gate)
    ids = [await create(client), await create(client)]
    async with serving(executor) as serve:
        await gate.holds(2)
        executor.drain()
        async with asyncio.timeout(DEADLINE):
            await serve
    for id in ids:
        resource = await resource_of(client, id)
        assert resource["status"] == "ready"
        assert "execId" not in resource


async def test_what_is_not_started_yet_is_handed_back_at_once(url: str, client: AsyncClient, gate: Gate) -> None:
    async with cutting_proxy(url) as proxy:
        proxy.choose = lambda request: Fault.REFUSED if b"awf.task/start" in request else Fault.NONE
        executor = Executor(proxy.url, grace=1000.0)
        executor.task(DEFINITION)(gate)
        id = await create(client)
        async with serving(executor) as serve:

            async def tried() -> bool:
                return any(b"awf.task/start" in request for request in proxy.requests)

            await until(tried)
            executor.drain()
            await asyncio.wait_for(serve, DEADLINE)
    assert (await resource_of(client, id))["status"] == "ready"
    assert gate.runs == {}


async def test_cancelling_the_executor_hands_its_tasks_back(url: str, client: AsyncClient, gate: Gate) -> None:
    executor = Executor(url)
    executor.task(DEFINITION)(gate)
    id = await create(client)
    async with serving(executor) as serve:
        await gate.holds(1)
        serve.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serve
    assert (await resource_of(client, id))["status"] == "ready"


async def test_a_result_survives_a_restart_of_the_service(database_url: str, gate: Gate) -> None:
    async with cutting_proxy(None) as proxy, AsyncClient(proxy.url) as client:
        executor = Executor(proxy.url)
        executor.task(DEFINITION)(gate)
        async with serving(executor):
            async with running_service(database_url) as first:
                proxy.upstream = first.url
                id = await create(client)
                await gate.holds(1)
            proxy.upstream = None
            gate.opened.set()

            async def tried_twice() -> bool:
                return sum(b"awf.task/success" in request for request in proxy.requests) >= 2

            await until(tried_twice)
            async with running_service(database_url) as second:
                proxy.upstream = second.url
                resource = await done(client, id)
    assert (resource["result"], resource["retryCount"]) == ("through", 1)
    assert gate.runs[id] == 1


async def test_lost_answers_make_no_task_run_twice(url: str, client: AsyncClient, gate: Gate) -> None:
    gate.opened.set()
    faults = cycle([Fault.NONE, Fault.UNANSWERED, Fault.NONE, Fault.REFUSED, Fault.NONE, Fault.HALF_ANSWERED])
    async with cutting_proxy(url) as proxy:
        # A poll whose answer is lost is right too, but its tasks come back only after their timeout.
        proxy.choose = lambda request: Fault.NONE if b"long-poll" in request else next(faults)
        executor = Executor(proxy.url)
        executor.task(DEFINITION, concurrency=5)(gate)
        ids = [await create(client) for _ in range(12)]
        async with serving(executor):
            for id in ids:
                resource = await done(client, id)
                assert (resource["outcome"], resource["retryCount"]) == ("succeeded", 1)
    assert gate.runs == Counter(ids)


async def test_an_execution_that_became_somebody_elses_is_left_alone(url: str, client: AsyncClient, gate: Gate) -> None:
    async with cutting_proxy(url) as proxy:
        executor = Executor(proxy.url)
        executor.task(DEFINITION)(gate)
        refusal = b'{"error":{"type":"stale-exec-id","message":"Another execution has the task."}}'
        async with serving(executor):
            id = await create(client)
            await gate.holds(1)
            proxy.answers = [http_answer(422, refusal)]
            gate.opened.set()

            async def refused() -> bool:
                return not proxy.answers

            await until(refused)
    assert sum(b"awf.task/success" in request for request in proxy.requests) == 1
    assert not any(b"awf.task/fail" in request for request in proxy.requests)
    assert gate.runs[id] == 1


async def test_a_refused_poll_ends_the_executor_with_its_reason(url: str, gate: Gate) -> None:
    refusal = http_answer(401, b'{"error":{"type":"unauthorized","message":"The key is unknown."}}')
    async with cutting_proxy(url) as proxy:
        proxy.answers = [refusal]
        executor = Executor(proxy.url)
        executor.task(DEFINITION)(gate)
        with pytest.raises(TaskRpcError, match="The key is unknown"):
            await asyncio.wait_for(executor.serve(), DEADLINE)


async def test_a_service_that_answers_polls_at_once_is_not_asked_in_a_busy_loop(
    url: str, client: AsyncClient, gate: Gate
) -> None:
    def polls(proxy: CuttingProxy) -> int:
        return sum(b"long-poll" in request for request in proxy.requests)

    async with cutting_proxy(url) as proxy:
        proxy.answers = [http_answer(200, b'{"result":{"resources":[]}}')] * 1000
        executor = Executor(proxy.url)
        executor.task(DEFINITION)(gate)
        async with serving(executor):

            async def polled_twice() -> bool:
                return polls(proxy) >= 2

            began = asyncio.get_running_loop().time()
            await until(polled_twice)
            assert asyncio.get_running_loop().time() - began >= 0.5


async def test_an_executor_without_functions_says_so(url: str) -> None:
    with pytest.raises(ValueError, match="no function"):
        await Executor(url).serve()


def test_a_definition_has_one_function() -> None:
    executor = Executor("http://127.0.0.1:8080")
    executor.task(DEFINITION)(lambda task: None)
    with pytest.raises(ValueError, match="has a function already"):
        executor.task(DEFINITION)(lambda task: None)


def test_a_concurrency_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more, not 0"):
        Executor("http://127.0.0.1:8080").task(DEFINITION, concurrency=0)(lambda task: None)
