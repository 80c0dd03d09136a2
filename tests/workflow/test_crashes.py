"""Servers that die after a commit, connections that break, locked rows: nothing hangs, and nothing is done twice."""

import asyncio
from collections.abc import Iterable

import asyncpg
import pytest

from taskrpc.engine.pump import Pump
from taskrpc.store.inboxes import Inboxes
from tests.databases import Clock
from tests.engine.headless import Headless
from tests.store.halting import HALT, go_on, halted, look_for, over_a_path
from tests.workflow.flows import FLOW, STEP, SUB, Flows, complete, reap, task, workflow

OPEN = "select count(*) from taskrpc.task where status <> 'done'"


@pytest.fixture
def dying(still: Headless, monkeypatch: pytest.MonkeyPatch) -> Flows:
    """A server that commits, and then nothing of it is left."""
    monkeypatch.setattr(still.parts.signals, "_on_reported", [])
    return Flows(still)


async def test_an_event_that_nobody_was_told_of_becomes_a_decision(dying: Flows) -> None:
    await dying.begin()
    await dying.decide(task())
    step = await dying.step()
    await dying.succeed(step)
    assert await dying.at_hand() == []
    await dying.server.parts.pump.look()
    (decision,) = await dying.at_hand()
    assert decision["params"]["task-id"] == step["id"]


async def test_a_failed_decision_that_nobody_was_told_of_ends_its_workflow(dying: Flows) -> None:
    await dying.call("awf.definition/put", id=FLOW, kind="workflow", allowedRetryCount=1)
    workflow_id = await dying.begin()
    await dying.server.of("fail", await dying.decision())
    assert (await dying.workflow(workflow_id))["status"] == "in-progress"
    await dying.server.parts.pump.look()
    assert (await dying.workflow(workflow_id))["outcome"] == "failed"


async def test_a_workflow_that_should_have_begun_begins(dying: Flows, clock: Clock) -> None:
    await dying.begin(executeAt="2999-01-01T00:00:00Z")
    await clock.advance(1000 * 365.25 * 86400)
    await reap(dying.server)
    assert await dying.at_hand() == []
    await dying.server.parts.pump.look()
    assert len(await dying.at_hand()) == 1


@pytest.mark.parametrize("end", ["complete", "cancel"])
async def test_what_a_done_workflow_left_open_is_found(
    dying: Flows, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    workflow_id = await dying.begin()
    await dying.decide(task(), task(), workflow())
    await dying.decide(task(), workflow(), definition=SUB)
    if end == "complete":
        await dying.succeed(await dying.step())
        await dying.server.parts.pump.look()
        await dying.decide(complete())
    else:
        with monkeypatch.context() as dead:
            dead.setattr(Pump, "attend", _nothing)
            await dying.call("awf.workflow/cancel", id=workflow_id)
    assert await observer.fetchval(OPEN) > 3
    await dying.server.parts.pump.look()
    assert await observer.fetchval(OPEN) == 0
    assert await observer.fetchval("select count(*) from taskrpc.event") == 0


async def _nothing(pump: Pump, workflow_ids: Iterable[str]) -> None:
    """What a dead server does."""


async def test_a_sweep_that_stopped_half_way_is_taken_up_again(
    still: Headless, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Flows(still)
    workflow_id = await flows.begin()
    await flows.decide(workflow())
    await flows.decide(task(), workflow(), definition=SUB)
    with monkeypatch.context() as dead:
        dead.setattr(Inboxes, "_sweep", _sweep_one_level)
        dead.setattr(still.parts.signals, "_on_reported", [])
        await flows.call("awf.workflow/cancel", id=workflow_id)
    assert await observer.fetchval(OPEN) == 3  # below the second level: a task, and a workflow with its decision
    await still.parts.pump.look()
    assert await observer.fetchval(OPEN) == 0


async def _sweep_one_level(inboxes: Inboxes, ids: list[str]) -> list[str]:
    await inboxes._sweep_level(ids)
    return []


async def test_inboxes_are_looked_through_page_by_page(
    dying: Flows, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc.store.inboxes.MOST_LISTED", 2)
    ids = [await dying.begin() for _ in range(5)]
    for decision in await dying.at_hand():
        await dying.server.of("start", decision)
        await dying.succeed(decision, [task()])
    for _ in range(5):
        await dying.succeed(await dying.step())
    for _ in range(3):
        await dying.server.parts.pump.look()
    assert await observer.fetchval("select count(*) from taskrpc.event") == 0
    assert {each["requester"]["id"] for each in await dying.at_hand()} == set(ids)


async def test_inboxes_of_workflows_that_are_gone_are_emptied(dying: Flows, observer: asyncpg.Connection) -> None:
    await observer.execute("insert into taskrpc.event (workflow_id, kind, subject) values ('x', 'task-completed', 'y')")
    await dying.server.parts.pump.look()
    assert await observer.fetchval("select count(*) from taskrpc.event") == 0


async def test_a_workflow_that_somebody_holds_holds_up_no_other(still: Headless, observer: asyncpg.Connection) -> None:
    flows = Flows(still)
    held, free = await flows.begin("held"), await flows.begin("free")
    for definition in ("held", "free"):
        await flows.decide(task(definition=f"step/{definition}"), task(), definition=definition)
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", held)
        for definition in ("held", "free"):
            await flows.succeed(await flows.step(f"step/{definition}"))
        assert (await flows.decision("free"))["requester"]["id"] == free
        assert await flows.at_hand("held") == []
    assert (await flows.decision("held"))["requester"]["id"] == held


async def test_a_decision_whose_workflow_somebody_holds_waits_and_its_neighbours_do_not(
    still: Headless, observer: asyncpg.Connection
) -> None:
    flows = Flows(still)
    held, _ = await flows.begin("held"), await flows.begin("free")
    decisions = [await flows.decision(definition) for definition in ("held", "free")]
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", held)
        waiting = asyncio.ensure_future(flows.succeed(decisions[0], [task()]))
        await flows.succeed(decisions[1], [task()])
        assert not waiting.done()
    assert (await waiting)["outcome"] == "succeeded"


async def test_a_decision_that_was_rolled_back_is_made_again(still: Headless, observer: asyncpg.Connection) -> None:
    flows = Flows(still)
    workflow_id = await flows.begin()
    decision = await flows.decision()
    await observer.execute(HALT)
    deciding = asyncio.ensure_future(flows.succeed(decision, [task(), workflow()]))
    for process in await halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await halted(observer)
    await go_on(observer)
    assert (await deciding)["outcome"] == "succeeded"
    assert len((await flows.status(workflow_id))["activities"]) == 2


async def test_a_decision_that_may_still_commit_is_not_made_again_before_that_is_known(
    observer: asyncpg.Connection, database_url: str
) -> None:
    async with over_a_path(database_url) as (server, path):
        flows = Flows(server)
        workflow_id = await flows.begin()
        decision = await flows.decision()
        await observer.execute(HALT)
        deciding = asyncio.ensure_future(flows.succeed(decision, [task(), workflow()]))
        (process,) = await halted(observer)
        path.cut()
        await look_for(observer, process)
        await go_on(observer)
        assert (await deciding)["outcome"] == "succeeded"
        assert len((await flows.status(workflow_id))["activities"]) == 2
        assert len(await server.poll(STEP, maxBatchSize=10)) == 1


async def test_a_pump_whose_connection_broke_pumps_again(still: Headless, observer: asyncpg.Connection) -> None:
    flows = Flows(still)
    await flows.begin()
    await flows.decide(task())
    step = await flows.step()
    await observer.execute(HALT.replace("for each row", "for each row when (new.kind = 'decision')"))
    await flows.succeed(step)
    for process in await halted(observer):
        await observer.execute("select pg_terminate_backend($1)", process)
    await halted(observer)
    await go_on(observer)
    assert (await flows.decision())["params"]["task-id"] == step["id"]
    assert await flows.at_hand() == []
