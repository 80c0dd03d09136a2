"""Events on two servers: each is told to everybody who listened when it began, once."""

import asyncio
from typing import Any

import pytest

from taskrpc.engine import matcher
from tests.databases import connected
from tests.engine.headless import Headless
from tests.system.waiting import until

_LEFT = "select left_for from taskrpc.occurrence"


def where(**values: Any) -> list[Any]:
    """Conditions: each key has to equal its value."""
    return [{"get-in": [key], "comparator": "eq", "value": value} for key, value in values.items()]


async def subscribed(server: Headless, **values: Any) -> Any:
    return await server.create("awf.task/subscribe", params={"select-by": where(**values)})


async def ended(server: Headless, task: Any) -> Any:
    """The task once it is done."""
    resource = (await server.call("awf.task/result", id=task["id"], timeout=20_000))["resource"]
    assert resource["status"] == "done", resource
    return resource


async def test_an_event_that_begins_after_the_answer_is_seen_on_whatever_server(
    server: Headless, other: Headless
) -> None:
    async def once(n: int) -> None:
        task = await subscribed(server, resourceType="Patient", n=n)
        await other.call("awf.event/publish", resource={"resourceType": "Patient", "n": n})
        assert (await ended(server, task))["result"]["resource"]["n"] == n

    for n in range(3):
        await once(n)
    await asyncio.gather(*(once(n) for n in range(3, 120)))


async def test_a_transition_that_begins_after_the_answer_is_seen_on_whatever_server(
    server: Headless, other: Headless
) -> None:
    async def once(task: Any) -> None:
        subscription = await subscribed(server, id=task["id"], outcome="succeeded")
        success = await other.of("success", task)
        assert (await ended(server, subscription))["result"]["resource"] == success

    for _ in range(20):
        await server.create()
    await asyncio.gather(*(once(task) for task in await other.poll(start=True, maxBatchSize=20)))


async def test_a_subscription_that_is_locked_hears_of_its_event_later_and_rules_are_not_told_twice(
    server: Headless, other: Headless, database_url: str
) -> None:
    rule = {"id": "rule", "select-by": where(resourceType="Patient"), "task-request": {"definition": "test/task"}}
    await server.call("awf.subscription/put", **rule)
    locked, free = [await subscribed(server, resourceType="Patient") for _ in range(2)]
    async with connected(database_url) as holder, connected(database_url) as observer:
        async with holder.transaction():
            await holder.execute("select from taskrpc.task where id = $1 for update", locked["id"])
            await other.call("awf.event/publish", resource={"resourceType": "Patient", "n": 1})
            await ended(server, free)
            await other.call("awf.event/publish", resource={"resourceType": "Patient", "n": 2})

            async def all_others_told() -> bool:
                left = {row["left_for"][0] for row in await observer.fetch(_LEFT) if row["left_for"]}
                started = await observer.fetchval("select count(*) from taskrpc.task where name = 'test/task'")
                return left == {locked["id"]} and started == 2

            await until(all_others_told)
            assert (await server.status(locked))["status"] == "in-progress"
        assert (await ended(server, locked))["result"]["resource"]["n"] == 1

        async def told() -> bool:
            return not await observer.fetchval("select count(*) from taskrpc.occurrence")

        await until(told)
    assert len(await server.poll(maxBatchSize=10)) == 2


async def test_a_rule_starts_one_task_for_each_event_however_many_servers_tell_it(
    server: Headless, other: Headless
) -> None:
    rule: Any = {
        "id": "rule",
        "select-by": where(resourceType="Patient"),
        "task-request": {"definition": "test/task", "params": {"n": {"get-in": ["n"]}}},
    }
    await server.call("awf.subscription/put", **rule)
    await server.call("awf.definition/put", id="test/task", concurrencyLimit=7)
    events = [{"resourceType": "Patient", "n": n} for n in range(300)]
    servers = [server, other]
    await asyncio.gather(*(servers[n % 2].call("awf.event/publish", resource=event) for n, event in enumerate(events)))
    found: list[int] = []
    while len(found) < len(events):
        tasks = (await other.call("awf.task/long-poll", taskDefinitions=["test/task"], start=True, maxBatchSize=50))[
            "resources"
        ]
        assert len(tasks) <= 7
        found += [task["params"]["n"] for task in tasks]
        await asyncio.gather(*(other.of("success", task) for task in tasks))
    assert sorted(found) == list(range(300))


async def test_an_event_that_cannot_be_told_holds_up_no_others(
    server: Headless, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [await subscribed(server, resourceType="Patient", n=n) for n in range(5)]
    async with connected(database_url) as observer:
        async with observer.transaction():
            for n in range(5):
                await observer.execute(
                    "insert into taskrpc.occurrence (id, at, keys, bytes, resource) values "
                    """($1, taskrpc.now(), '{*,resourceType/Patient}', 0, $2)""",
                    f"event-{n}",
                    f'{{"resourceType":"Patient","n":{n}}}' if n != 2 else "[]",
                )
        server.parts.matcher.poke()
        for n in (0, 1, 3, 4):
            assert (await ended(server, tasks[n]))["result"]["resource"]["n"] == n
        assert await observer.fetchval("select array_agg(id) from taskrpc.occurrence") == ["event-2"]
    assert (await server.status(tasks[2]))["status"] == "in-progress"
    assert "cannot be told; the others go on" in caplog.text


async def test_a_resource_for_many_is_told_in_portions(server: Headless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "MOST_RESULT_BYTES", 200)
    tasks = [await subscribed(server, resourceType="Patient") for _ in range(5)]
    resource = {"resourceType": "Patient", "text": "x" * 150}
    await server.call("awf.event/publish", resource=resource)
    done = [await ended(server, task) for task in tasks]
    assert all(task["result"]["resource"] == resource for task in done)
    assert len({task["meta"]["lastUpdated"] for task in done}) == len(tasks)


async def test_many_events_for_rules_are_told_in_portions(
    server: Headless, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(matcher, "MOST_STARTED", 2)
    for n in range(3):
        rule: Any = {"id": f"rule-{n}", "select-by": where(resourceType="Patient")}
        await server.call("awf.subscription/put", **rule, **{"task-request": {"definition": "test/task"}})
    async with connected(database_url) as observer:
        await observer.execute(
            "insert into taskrpc.occurrence (id, at, keys, bytes, resource) select 'event-' || n, taskrpc.now(), "
            """'{*,resourceType/Patient}', 0, '{"resourceType":"Patient"}' from generate_series(1, 4) n"""
        )
    server.parts.matcher.poke()
    tasks: list[Any] = []
    while len(tasks) < 12:
        poll = {"taskDefinitions": ["test/task"], "maxBatchSize": 100}
        tasks += (await server.call("awf.task/long-poll", **poll))["resources"]
    assert len({task["meta"]["createdAt"] for task in tasks}) == 4
