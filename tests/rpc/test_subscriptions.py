"""Events over HTTP: subscriptions that end with what fits them, and rules that start tasks."""

from typing import Any

import pytest

from taskrpc.app import Running
from tests.databases import Clock, connected
from tests.services import Rpc, running_service
from tests.system.waiting import until

SUBSCRIBE = "awf.task/subscribe"


def where(**values: Any) -> list[Any]:
    """Conditions: each key has to equal its value."""
    return [{"get-in": [key], "comparator": "eq", "value": value} for key, value in values.items()]


async def subscribed(rpc: Rpc, **values: Any) -> Any:
    return await rpc.create(SUBSCRIBE, params={"select-by": where(**values)})


async def publish(rpc: Rpc, resource: Any, **further: Any) -> None:
    assert (await rpc.call("awf.event/publish", resource=resource, **further)).result == {}


async def ended(rpc: Rpc, task: Any) -> Any:
    """The task once it is done."""
    resource = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert resource["status"] == "done", resource
    return resource


async def handled(database_url: str) -> None:
    """Waits until everybody was told of everything."""
    async with connected(database_url) as database:

        async def nothing_left() -> bool:
            return not await database.fetchval("select count(*) from taskrpc.occurrence")

        await until(nothing_left)


async def test_a_subscription_ends_with_the_first_resource_that_fits(rpc: Rpc) -> None:
    task = await subscribed(rpc, resourceType="Patient", active=True)
    assert (task["status"], task["retryCount"]) == ("in-progress", 1)
    assert "inProgressTimeoutAt" not in task
    await publish(rpc, {"resourceType": "Patient", "active": False})
    await publish(rpc, {"resourceType": "Observation", "active": True})
    patient = {"resourceType": "Patient", "active": True, "name": [{"given": ["Ada"]}], "n": 12345678901234567890}
    await publish(rpc, patient)
    await publish(rpc, {"resourceType": "Patient", "active": True, "name": "too late"})
    done = await ended(rpc, task)
    assert (done["outcome"], done["result"]) == ("succeeded", {"resource": patient})


async def test_a_subscription_hears_of_a_task_that_reaches_a_state(rpc: Rpc) -> None:
    work = await rpc.create(params={"n": 1})
    finished = await subscribed(rpc, id=work["id"], status="done")
    running = await subscribed(rpc, resourceType="AidboxTask", definition="test/task", status="in-progress")
    (polled,) = await rpc.poll(start=True)
    call = {"id": polled["id"], "execId": polled["execId"]}
    await rpc.call("awf.task/notify", **call, notification="heartbeat")
    assert (await ended(rpc, running))["result"]["resource"] == polled
    success = (await rpc.call("awf.task/success", **call, result={"rows": 3})).result["resource"]
    assert (await ended(rpc, finished))["result"]["resource"] == success


async def test_a_subscription_hears_of_tasks_that_are_created_or_canceled(rpc: Rpc) -> None:
    created, canceled = await subscribed(rpc, id="mine", status="ready"), await subscribed(rpc, outcome="canceled")
    task = await rpc.create(id="mine")
    assert (await ended(rpc, created))["result"]["resource"] == task
    await rpc.call("awf.task/cancel", id="mine")
    assert (await ended(rpc, canceled))["result"]["resource"]["id"] == "mine"


async def test_a_subscription_hears_nothing_from_before_its_creation(rpc: Rpc, database_url: str) -> None:
    earlier = await subscribed(rpc, resourceType="Patient", n=2)
    await publish(rpc, {"resourceType": "Patient", "n": 1})
    later = await subscribed(rpc, resourceType="Patient")
    await publish(rpc, {"resourceType": "Patient", "n": 2})
    for task in (earlier, later):
        assert (await ended(rpc, task))["result"]["resource"]["n"] == 2
    await handled(database_url)


async def test_a_subscription_does_not_hear_of_its_own_beginning(rpc: Rpc, database_url: str) -> None:
    task = await subscribed(rpc, resourceType="AidboxTask", status="in-progress")
    await handled(database_url)
    assert (await rpc.call("awf.task/status", id=task["id"])).result["resource"]["status"] == "in-progress"
    await rpc.create()
    (polled,) = await rpc.poll(start=True)
    assert (await ended(rpc, task))["result"]["resource"] == polled


async def test_nothing_is_kept_when_nobody_listens(rpc: Rpc, database_url: str) -> None:
    await subscribed(rpc, resourceType="Patient")
    await publish(rpc, {"resourceType": "Observation"})
    await publish(rpc, {})
    await rpc.create()
    async with connected(database_url) as database:
        assert await database.fetchval("select count(*) from taskrpc.occurrence") == 0


@pytest.mark.parametrize("method", ["cancel", "stop"])
async def test_a_subscription_that_was_canceled_hears_nothing_until_it_is_begun_anew(rpc: Rpc, method: str) -> None:
    task = await subscribed(rpc, resourceType="Patient")
    await rpc.call(f"awf.task/{method}", id=task["id"])
    await publish(rpc, {"resourceType": "Patient", "n": 1})
    assert (await ended(rpc, task))["outcome"] == "canceled"
    again = (await rpc.call("awf.task/retry", id=task["id"])).result["resource"]
    assert again["status"] == "in-progress"
    await publish(rpc, {"resourceType": "Patient", "n": 2})
    assert (await ended(rpc, task))["result"]["resource"]["n"] == 2


async def test_a_subscription_is_dropped_by_the_timeout_of_its_definition(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    await rpc.call("awf.definition/put", id=SUBSCRIBE, timeout=60_000)
    task = await subscribed(rpc, resourceType="Patient")
    await clock.advance(60)
    service.reaper.poke()
    assert (await ended(rpc, task))["outcomeReason"]["type"] == "awf.task/dropped"
    await publish(rpc, {"resourceType": "Patient"})


async def test_a_subscription_without_conditions_is_refused(rpc: Rpc) -> None:
    refused = await rpc.call("awf.task/create-and-execute", definition=SUBSCRIBE, params={"select-by": []})
    assert refused.error["data"]["errors"][0]["path"] == "params.select-by"


RULE: Any = {
    "id": "rule",
    "select-by": [*where(resourceType="Patient"), {"get-in": ["age"], "comparator": "ge", "value": 18}],
    "task-request": {
        "definition": "test/task",
        "label": "adult",
        "params": {"who": {"get-in": ["id"]}, "given": {"get-in": ["name", 0, "given"]}, "constant": [1, None]},
    },
}


async def put(rpc: Rpc, **changes: Any) -> Any:
    return (await rpc.call("awf.subscription/put", **{**RULE, **changes})).result["resource"]


async def test_a_rule_starts_a_task_for_each_resource_that_fits(rpc: Rpc) -> None:
    rule = await put(rpc)
    assert (rule["resourceType"], rule["select-by"]) == ("AidboxSubscriptionRule", RULE["select-by"])
    await publish(rpc, {"resourceType": "Patient", "id": "p1", "age": 17})
    await publish(rpc, {"resourceType": "Patient", "id": "p2", "age": 18})
    await publish(rpc, {"resourceType": "Patient", "id": "p3", "age": 40, "name": [{"given": ["Ada"]}]})
    tasks: list[Any] = []
    while len(tasks) < 2:
        polled = await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"], maxBatchSize=10)
        tasks += polled.result["resources"]
    assert sorted((task["params"] for task in tasks), key=lambda params: params["who"]) == [
        {"who": "p2", "constant": [1, None]},
        {"who": "p3", "given": ["Ada"], "constant": [1, None]},
    ]
    assert {(task["label"], task["requester"]["id"], task["requester"]["resourceType"]) for task in tasks} == {
        ("adult", "rule", "AidboxSubscriptionRule")
    }


async def test_an_event_that_is_published_again_starts_nothing_again(rpc: Rpc, database_url: str) -> None:
    await put(rpc)
    for _ in range(3):
        await publish(rpc, {"resourceType": "Patient", "id": "p2", "age": 18}, callId="once")
        await handled(database_url)
    assert len(await rpc.poll(maxBatchSize=10)) == 1


async def test_a_rule_hears_of_tasks_but_not_of_its_own(rpc: Rpc, database_url: str) -> None:
    select = where(resourceType="AidboxTask", status="ready")
    await put(
        rpc, **{"select-by": select, "task-request": {"definition": "echo/task", "params": {"of": {"get-in": ["id"]}}}}
    )
    work = await rpc.create()
    (echo,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["echo/task"])).result["resources"]
    assert echo["params"] == {"of": work["id"]}
    await handled(database_url)
    assert await rpc.poll("echo/task") == []


async def test_an_event_whose_task_is_refused_is_forgotten(rpc: Rpc, database_url: str) -> None:
    await rpc.call("awf.definition/put", id="test/task", params={"required": ["given"]}, queueLimit=1)
    await put(rpc)
    for n in range(3):
        named = {"name": [{"given": ["Ada"]}]} if n else {}
        await publish(rpc, {"resourceType": "Patient", "id": f"p{n}", "age": 18, **named})
    await handled(database_url)
    (task,) = await rpc.poll(maxBatchSize=10)
    assert task["params"]["who"] == "p1"


async def test_rules_are_listed_changed_and_deleted(rpc: Rpc) -> None:
    first = await put(rpc)
    assert await put(rpc) == first
    changed = await put(rpc, **{"select-by": where(resourceType="Practitioner")})
    assert (first["meta"]["versionId"], changed["meta"]["versionId"]) == ("1", "2")
    await put(rpc, id="a")
    assert [rule["id"] for rule in (await rpc.call("awf.subscription/list")).result["resources"]] == ["a", "rule"]
    assert (await rpc.call("awf.subscription/get", id="rule")).result["resource"] == changed
    assert (await rpc.call("awf.subscription/delete", id="rule")).result == {}
    for method in ("get", "delete"):
        gone = await rpc.call(f"awf.subscription/{method}", id="rule")
        assert gone.error["type"] == "rule-not-found"


async def test_a_rule_of_an_unknown_definition_is_refused_where_definitions_are_strict(database_url: str) -> None:
    async with running_service(database_url, strict_definitions=True) as server, Rpc(server.url) as rpc:
        refused = await rpc.call("awf.subscription/put", **RULE)
        assert refused.error["type"] == "definition-not-found"
