"""Canceling a workflow: at once, with everything below it, whatever anybody does with it at the time."""

import asyncio

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.engine.headless import Headless, headless
from tests.system.waiting import until
from tests.workflow.flows import FLOW, STEP, SUB, Flows, complete, task, workflow

OPEN = "select count(*) from taskrpc.task where status <> 'done'"


async def test_a_workflow_is_canceled_with_all_that_it_started_recursively(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    root = await flows.begin(SUB)
    await flows.decide(task("running"), task("ready"), workflow("below"), definition=SUB)
    running = await flows.step()
    await flows.decide(task("deep"), workflow("deeper"), definition=SUB)
    deciding = await flows.decision(SUB)
    canceled = (await flows.call("awf.workflow/cancel", id=root))["resource"]
    assert (canceled["status"], canceled["outcome"]) == ("done", "canceled")
    assert await observer.fetchval(OPEN) == 0
    for execution, method, further in ((running, "notify", {"notification": "heartbeat"}), (deciding, "success", {})):
        with pytest.raises(TaskRpcError, match="wrong-status") as refused:
            await flows.server.of(method, execution, **further)
        assert refused.value.data == {"status": "done", "outcome": "canceled"}
    assert await flows.at_hand(SUB) == await flows.server.poll(STEP) == []


async def test_a_workflow_is_canceled_before_it_began(flows: Flows) -> None:
    await flows.begin(id="later", executeAt="2999-01-01T00:00:00Z")
    canceled = (await flows.call("awf.workflow/cancel", id="later"))["resource"]
    assert (canceled["status"], canceled["outcome"]) == ("done", "canceled")


async def test_cancel_sent_again_gets_the_same_answer_and_another_is_told_that_it_is_done(flows: Flows) -> None:
    workflow_id = await flows.begin()
    first = await flows.call("awf.workflow/cancel", id=workflow_id, callId="c")
    assert await flows.call("awf.workflow/cancel", id=workflow_id, callId="c") == first
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/cancel", id=workflow_id)
    assert refused.value.type == "workflow-has-been-done"
    assert refused.value.message == f"Workflow {workflow_id} is done already: canceled"
    assert refused.value.data == {"status": "done", "outcome": "canceled"}


@pytest.mark.parametrize("method", ["awf.workflow/cancel", "awf.workflow/status", "awf.workflow/result"])
async def test_what_is_no_workflow_is_not_found(flows: Flows, method: str) -> None:
    step = await flows.server.create(STEP)
    for workflow_id in ("nobody", step["id"], "no id"):
        with pytest.raises(TaskRpcError, match="workflow-not-found"):
            await flows.call(method, id=workflow_id)


@pytest.mark.parametrize("method", ["status", "cancel", "stop", "retry", "result"])
async def test_a_workflow_is_no_task(flows: Flows, method: str) -> None:
    workflow_id = await flows.begin()
    with pytest.raises(TaskRpcError, match="task-not-found"):
        await flows.call(f"awf.task/{method}", id=workflow_id)
    for of_execution in ("start", "success", "fail", "release"):
        with pytest.raises(TaskRpcError, match="task-not-found"):
            await flows.call(f"awf.task/{of_execution}", id=workflow_id, execId="x")


async def test_the_parent_of_a_canceled_workflow_goes_on(flows: Flows) -> None:
    root = await flows.begin()
    await flows.decide(workflow("below"))
    (below,) = (await flows.status(root))["activities"]
    await flows.call("awf.workflow/cancel", id=below["id"])
    decision = await flows.decide(complete())
    assert decision["params"] == {"event": "awf.workflow.event/workflow-completed", "workflow-id": below["id"]}
    assert (await flows.ended(root))["outcome"] == "succeeded"


async def test_whoever_waits_for_a_workflow_is_told_when_it_is_canceled(flows: Flows) -> None:
    workflow_id = await flows.begin()
    waiting = asyncio.ensure_future(flows.ended(workflow_id))

    async def somebody_waits() -> bool:
        return flows.server.parts.results.waiting == 1

    await until(somebody_waits)
    await flows.call("awf.workflow/cancel", id=workflow_id)
    assert (await waiting)["outcome"] == "canceled"


async def test_a_thousand_activities_are_canceled(flows: Flows, observer: asyncpg.Connection) -> None:
    workflow_id = await flows.begin()
    await flows.decide(*(task(n=n) if n % 100 else workflow(n=n) for n in range(1200)))
    await flows.call("awf.workflow/cancel", id=workflow_id)
    assert await observer.fetchval(OPEN) == 0


async def test_a_limit_passes_on_the_slots_of_what_is_canceled(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.call("awf.definition/put", id=STEP, concurrencyLimit=2, queueLimit=10)
    ids = [await flows.begin() for _ in range(2)]
    for decision in [await flows.decision() for _ in ids]:
        await flows.succeed(decision, [task(of=decision["requester"]["id"]) for _ in range(3)])
    running = [await flows.step() for _ in range(2)]
    assert [step["params"]["of"] for step in running] == [ids[0]] * 2
    await flows.call("awf.workflow/cancel", id=ids[0])
    assert [step["params"]["of"] for step in [await flows.step() for _ in range(2)]] == [ids[1]] * 2
    used = {row["key"]: row["used"] for row in await observer.fetch("select key, used from taskrpc.gate")}
    assert used == {"concurrency/9/test/step/": 2, "queue/test/step": 3}


async def test_what_somebody_holds_is_canceled_when_it_is_free(flows: Flows, observer: asyncpg.Connection) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("held"), task("free"))
    held, free = (await flows.status(workflow_id))["activities"]
    async with observer.transaction():
        await observer.execute("select from taskrpc.task where id = $1 for update", held["id"])
        canceling = asyncio.ensure_future(flows.call("awf.workflow/cancel", id=workflow_id))
        await flows.canceled(free)
        assert (await flows.workflow(workflow_id))["outcome"] == "canceled"
        assert not canceling.done()
    await canceling
    assert await flows.outcome(held) == ("done", "canceled")


async def test_a_decision_and_a_cancel_at_once_leave_nothing_open(
    server: Headless, database_url: str, observer: asyncpg.Connection
) -> None:
    async with headless(database_url) as other:
        here, there = Flows(server), Flows(other)
        for _ in range(30):
            workflow_id = await here.begin()
            decision = await here.decision()
            answers = await asyncio.gather(
                here.succeed(decision, [task(), workflow(), task()]),
                there.call("awf.workflow/cancel", id=workflow_id),
                return_exceptions=True,
            )
            assert not isinstance(answers[1], BaseException)
            if isinstance(answers[0], BaseException):
                assert isinstance(answers[0], TaskRpcError)
                assert answers[0].type == "wrong-status"

    async def all_closed() -> bool:
        left = await observer.fetchval(f"select ({OPEN}) + (select count(*) from taskrpc.event)")
        return bool(left == 0)

    await until(all_closed)


async def test_flows_and_subs_are_listed(flows: Flows) -> None:
    first, second = await flows.begin(params={"city": "Kyiv"}), await flows.begin(SUB)
    await flows.call("awf.workflow/cancel", id=second)

    async def listed(**params: object) -> list[str]:
        answer = await flows.call("awf.workflow/list", **params)
        assert answer["total"] == len(answer["resources"])
        return [resource["id"] for resource in answer["resources"]]

    assert await listed() == [second, first]
    assert await listed(sort={"createdAt": "asc"}) == [first, second]
    assert await listed(filter={"includeDefinitions": [FLOW]}) == [first]
    assert await listed(filter={"excludeDefinitions": [FLOW]}) == [second]
    assert await listed(filter={"status": "in-progress"}) == [first]
    assert await listed(filter={"status": ["created", "done"]}) == [second]
    assert await listed(filter={"outcome": "canceled"}) == [second]
    assert await listed(filter={"ilike": "kYIV"}) == [first]
    with pytest.raises(TaskRpcError, match=r"filter\.status"):
        await listed(filter={"status": "waiting"})
