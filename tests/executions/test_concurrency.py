"""How many executions of a flow there are at once: exact, whatever servers they are on."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.engine.headless import Headless, headless
from tests.executions.flows import WORK, Flows, log, work
from tests.system.waiting import until

LIMIT = 3
HELD = "select count(*) from taskrpc.execution_slot where held"
AT_WORK = "select count(*) from taskrpc.task where kind = 'workflow' and state in ('RUNNING', 'PAUSED')"


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[list[Flows]]:
    """The flows of two servers."""
    async with headless(database_url) as first, headless(database_url) as second:
        yield [Flows(first), Flows(second)]


async def test_a_limit_is_never_exceeded_on_two_servers(two: list[Flows], observer: asyncpg.Connection) -> None:
    await two[0].put(work(), concurrency={"limit": LIMIT})
    ids = await asyncio.gather(*(two[n % 2].begin() for n in range(24)))
    most, done = 0, 0

    async def all_are_done() -> bool:
        nonlocal most, done
        most = max(most, await observer.fetchval(AT_WORK), await observer.fetchval(HELD))
        polled = await two[done % 2].call("awf.task/poll", taskDefinitions=[WORK], start=True, maxBatchSize=10)
        assert len(polled["resources"]) <= LIMIT
        for task in polled["resources"]:
            await two[done % 2].server.of("success", task)
        done += len(polled["resources"])
        return done == len(ids)

    await until(all_are_done)
    for id in ids:
        await two[0].ended(id, "SUCCESS")
    assert most == LIMIT

    async def no_slot_is_left() -> bool:
        return bool(await observer.fetchval("select count(*) = 0 from taskrpc.execution_slot"))

    await until(no_slot_is_left)


@pytest.mark.parametrize(("behavior", "state"), [("CANCEL", "CANCELLED"), ("FAIL", "FAILED")])
async def test_one_too_many_may_be_ended(flows: Flows, behavior: str, state: str) -> None:
    await flows.put(work(), concurrency={"limit": 1, "behavior": behavior})
    first = await flows.begin()
    await flows.reaches(first, "RUNNING")
    await flows.ended(await flows.begin(), state)
    await flows.work()
    await flows.ended(first, "SUCCESS")


async def test_those_who_wait_begin_in_their_order_and_a_killed_one_is_passed_over(flows: Flows) -> None:
    await flows.put(work(), concurrency={"limit": 1})
    ids = []
    for _ in range(4):
        ids.append(await flows.begin())
        await flows.reaches(ids[-1], "RUNNING" if len(ids) == 1 else "QUEUED")
    await flows.call("awf.workflow/kill", id=ids[1])
    done = [await flows.work() for _ in range(3)]
    assert [task["requester"]["id"] for task in done] == [ids[0], ids[2], ids[3]]


async def test_a_restarted_one_waits_for_a_slot(flows: Flows) -> None:
    await flows.put(work(), concurrency={"limit": 1})
    failed = await flows.begin()
    await flows.fail()
    await flows.ended(failed, "FAILED")
    other = await flows.begin()
    await flows.reaches(other, "RUNNING")
    await flows.call("awf.workflow/restart", id=failed)
    first, second = await flows.work(), await flows.work()
    assert (first["requester"]["id"], second["requester"]["id"]) == (other, failed)
    await flows.ended(failed, "SUCCESS")


async def test_an_execution_stays_with_the_server_that_has_it(
    two: list[Flows], observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    _be_patient(there.server, monkeypatch)
    await here.put(*(work(f"work{n}") for n in range(5)), log())
    id = await here.begin()
    for _ in range(5):
        await there.work()
    await here.ended(id, "SUCCESS")
    owner = await observer.fetchval("select server from taskrpc.execution where id = $1", id)
    assert owner == here.server.parts.services.executions.loop.server


def _be_patient(server: Headless, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a server take over nothing, however long another one takes."""

    async def never(execution_id: str, first: int) -> None:
        return

    loop = server.parts.services.executions.loop
    monkeypatch.setattr(loop, "_insist", lambda execution_id, first: None)
    monkeypatch.setattr(loop, "_insist_later", never)


async def test_a_server_that_does_not_react_is_not_waited_for(
    two: list[Flows], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    await here.put(work(), log())
    id = await here.begin()
    task = await there.task()
    deaf = here.server.parts.services.executions.loop
    monkeypatch.setattr(deaf, "_store", None)  # it has the execution in memory, and does nothing any more
    await there.server.of("success", task)
    await there.ended(id, "SUCCESS")
