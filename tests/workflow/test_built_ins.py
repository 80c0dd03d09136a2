"""What the server does itself, as activities of workflows: its end is an event, and it ends with the workflow."""

from typing import Any, Final

import asyncpg
import pytest

from taskrpc.core.built_in import CLEAN_UP, SUBSCRIBE, WAIT
from taskrpc.errors import TaskRpcError, mistakes_of
from tests.databases import Clock
from tests.engine.headless import Headless, headless
from tests.system.waiting import until
from tests.workflow.flows import FLOW, STEP, Flows, complete, task, workflow

COMPLETED: Final = "awf.workflow.event/task-completed"
READY: Final = [{"get-in": ["id"], "comparator": "eq", "value": "parcel"}]
_OPEN: Final = "select count(*) from taskrpc.task where status <> 'done'"


async def _activity(flows: Flows, workflow_id: str, label: str) -> Any:
    found = {each["label"]: each for each in (await flows.status(workflow_id))["activities"]}
    return found[label]


async def _told(flows: Flows, activity: Any) -> None:
    """The next decision is about the end of this activity, and completes the workflow."""
    decision = await flows.decide(complete())
    assert decision["params"] == {"event": COMPLETED, "task-id": activity["id"]}


async def test_the_end_of_a_wait_is_an_event_of_its_workflow(flows: Flows, clock: Clock) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("pause", WAIT, duration={"hours": 1}))
    wait = await _activity(flows, workflow_id, "pause")
    assert (wait["status"], wait["requester"]) == ("in-progress", {"id": workflow_id, "resourceType": "AidboxWorkflow"})
    await clock.advance(3599)
    flows.server.parts.reaper.poke()
    assert await flows.at_hand() == []
    await clock.advance(1)
    flows.server.parts.reaper.poke()
    await _told(flows, wait)
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"
    assert await flows.outcome(wait) == ("done", "succeeded")


async def test_a_decision_waits_for_a_time_that_has_passed_no_longer(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("pause", WAIT, until="2020-01-01T00:00:00Z"))
    await _told(flows, await _activity(flows, workflow_id, "pause"))


async def test_the_end_of_a_subscription_is_an_event_of_its_workflow(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("parcel", SUBSCRIBE, **{"select-by": READY}))
    subscription = await _activity(flows, workflow_id, "parcel")
    await flows.call("awf.event/publish", resource={"id": "parcel", "weight": 3})
    await _told(flows, subscription)
    ended = await _activity(flows, workflow_id, "parcel")
    assert ended["result"] == {"resource": {"id": "parcel", "weight": 3}}


async def test_the_end_of_a_clean_up_is_an_event_of_its_workflow(flows: Flows) -> None:
    workflow_id = await flows.begin()
    rules = [{"retentionPolicy": {"unit": "day", "value": 1}}]
    await flows.decide(task("tidy", CLEAN_UP, rules=rules))
    await _told(flows, await _activity(flows, workflow_id, "tidy"))
    assert (await _activity(flows, workflow_id, "tidy"))["result"]["deletedRowsCount"]["AidboxTask"] == 0


async def test_a_workflow_waits_for_a_workflow_that_it_did_not_start(flows: Flows) -> None:
    other = await flows.begin("test/other")
    select = [
        {"get-in": ["id"], "comparator": "eq", "value": other},
        {"get-in": ["status"], "comparator": "eq", "value": "done"},
    ]
    workflow_id = await flows.begin()
    await flows.decide(task("other", SUBSCRIBE, **{"select-by": select}))
    subscription = await _activity(flows, workflow_id, "other")
    await flows.decide(complete({"n": 1}), definition="test/other")
    await _told(flows, subscription)
    seen = (await _activity(flows, workflow_id, "other"))["result"]["resource"]
    assert (seen["resourceType"], seen["outcome"], seen["result"]) == ("AidboxWorkflow", "succeeded", {"n": 1})


async def test_a_workflow_is_canceled_with_its_waits_and_subscriptions(
    flows: Flows, observer: asyncpg.Connection, clock: Clock
) -> None:
    workflow_id = await flows.begin()
    await flows.decide(
        task("pause", WAIT, duration={"hours": 1}), task("parcel", SUBSCRIBE, **{"select-by": READY}), workflow("below")
    )
    await flows.decide(task("deep", WAIT, duration={"hours": 1}), definition="test/sub")
    await flows.call("awf.workflow/cancel", id=workflow_id)
    assert await observer.fetchval(_OPEN) == 0
    assert await observer.fetchval("select count(*) from taskrpc.listener") == 0
    assert await observer.fetchval("select count(*) from taskrpc.task where ends_at is not null") == 0
    await flows.call("awf.event/publish", resource={"id": "parcel"})
    await clock.advance(3601)
    flows.server.parts.reaper.poke()
    for label in ("pause", "parcel"):
        assert (await _activity(flows, workflow_id, label))["outcome"] == "canceled"


async def test_a_wait_that_is_left_open_is_canceled_with_the_end_of_its_workflow(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("pause", WAIT, duration={"hours": 1}), task("work"))
    await flows.succeed(await flows.step())
    await flows.decide(complete())
    await flows.canceled(await _activity(flows, workflow_id, "pause"))


async def test_a_wait_that_is_canceled_alone_is_an_event_too(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("pause", WAIT, duration={"hours": 1}))
    wait = await _activity(flows, workflow_id, "pause")
    await flows.call("awf.task/cancel", id=wait["id"])
    await _told(flows, wait)


async def test_a_wait_begins_once_although_its_decision_says_it_twice(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("pause", WAIT, duration={"hours": 1}), task("work"))
    await flows.succeed(await flows.step())
    await flows.decide(task("pause", WAIT, duration={"hours": 2}))
    assert len((await flows.status(workflow_id))["activities"]) == 2


@pytest.mark.parametrize(
    ("definition", "params", "path"),
    [
        (WAIT, {"duration": {}}, "result.1.task-request.params.duration"),
        (SUBSCRIBE, {"select-by": []}, "result.1.task-request.params.select-by"),
        (CLEAN_UP, {"rules": []}, "result.1.task-request.params.rules"),
    ],
)
async def test_a_decision_with_bad_params_of_a_built_in_task_changes_nothing(
    flows: Flows, definition: str, params: Any, path: str
) -> None:
    workflow_id = await flows.begin()
    decision = await flows.decision()
    with pytest.raises(TaskRpcError) as refused:
        await flows.succeed(decision, [task("fits"), task("bad", definition, **params)])
    assert refused.value.type == "invalid-params"
    assert [mistake.path for mistake in mistakes_of(refused.value, "")] == [path]
    assert (await flows.status(workflow_id))["activities"] == []


async def test_what_ended_while_no_server_was_there_is_told_by_the_next_one(database_url: str, clock: Clock) -> None:
    async with headless(database_url) as first:
        workflow_id = await Flows(first).begin()
        await Flows(first).decide(task("pause", WAIT, duration={"hours": 1}))
    await clock.advance(7200, outage=True)
    async with headless(database_url) as second:
        flows = Flows(second)
        await _told(flows, await _activity(flows, workflow_id, "pause"))


async def test_activities_of_a_limited_definition_are_admitted_whoever_has_started_them(flows: Flows) -> None:
    await flows.call("awf.definition/put", id=STEP, concurrencyLimit=2, queueLimit=3)
    workflow_id = await flows.begin()
    await flows.decide(*(task(f"step-{n}") for n in range(5)))
    running = [await flows.step(), await flows.step()]
    assert await flows.server.poll(STEP) == []
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await flows.server.create(STEP)
    for _ in range(3):
        await flows.succeed(running.pop(0))
        running.append(await flows.step())
    assert await flows.server.poll(STEP) == []
    await flows.call("awf.workflow/cancel", id=workflow_id)


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
async def test_a_clean_up_deletes_a_workflow_with_all_that_belongs_to_it_once_it_is_done(
    flows: Flows, observer: asyncpg.Connection, clock: Clock, done: bool
) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("work"), task("more"))
    await flows.succeed(await flows.step())
    await flows.succeed(await flows.step())
    await flows.decide(complete() if done else task("last"))
    await clock.advance(3600)
    rules = [{"retentionPolicy": {"unit": "hour", "value": 1}}]
    clean_up = await flows.server.create(CLEAN_UP, params={"rules": rules})
    resource = (await flows.call("awf.task/result", id=clean_up["id"], timeout=20_000))["resource"]
    counts = resource["result"]["deletedRowsCount"]
    left = await observer.fetchval("select count(*) from taskrpc.task where $1 in (id, parent_id)", workflow_id)
    assert (counts, left) == (
        ({"AidboxTask": 4, "AidboxTaskLog": 0, "AidboxWorkflow": 1}, 0)
        if done
        else ({"AidboxTask": 0, "AidboxTaskLog": 0, "AidboxWorkflow": 0}, 7)
    )


async def test_a_rule_that_listens_starts_a_workflow_for_each_event(
    server: Headless, observer: asyncpg.Connection
) -> None:
    flows = Flows(server)
    rule = {
        "select-by": [{"get-in": ["resourceType"], "comparator": "eq", "value": "Order"}],
        "workflow-request": {"definition": FLOW, "label": "order", "params": {"order": {"get-in": ["id"]}}},
    }
    await flows.call("awf.subscription/put", id="orders", **rule)
    for order in ("o-1", "o-2"):
        await flows.call("awf.event/publish", resource={"resourceType": "Order", "id": order}, callId=order)
        await flows.call("awf.event/publish", resource={"resourceType": "Order", "id": order}, callId=order)
    first, second = await flows.decide(complete()), await flows.decide(complete())
    orders = []
    for decision in (first, second):
        ended = await flows.ended(decision["requester"]["id"])
        assert (ended["requester"]["id"], ended["requester"]["resourceType"]) == ("orders", "AidboxSubscriptionRule")
        assert ended["label"] == "order"
        orders.append(ended["params"]["order"])
    assert sorted(orders) == ["o-1", "o-2"]

    async def all_told() -> bool:
        return bool(await observer.fetchval("select count(*) = 0 from taskrpc.occurrence"))

    await until(all_told)
    assert (await flows.call("awf.workflow/list"))["total"] == 2
