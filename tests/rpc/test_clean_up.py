"""Deleting what is done: by the retention of a definition, and by clean-ups."""

from typing import Any

import pytest

from taskrpc.app import Running
from tests.databases import Clock, connected
from tests.services import Rpc
from tests.system.waiting import until

CLEAN_UP = "awf.task/clean-up-activities"


async def done(rpc: Rpc, definition: str = "test/task", **further: Any) -> Any:
    """A new task that is done."""
    task = await rpc.started(definition, **further)
    return (await rpc.call("awf.task/success", id=task["id"], execId=task["execId"])).result["resource"]


async def ids(rpc: Rpc, *definitions: str) -> set[str]:
    """The tasks that there are."""
    found = (await rpc.call("awf.task/list", filter={"excludeDefinitions": [CLEAN_UP]})).result["resources"]
    return {task["id"] for task in found}


async def cleaned_up(rpc: Rpc, *rules: Any) -> Any:
    """A clean-up that is done."""
    task = await rpc.create(CLEAN_UP, params={"rules": list(rules)})
    resource = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert resource["status"] == "done", resource
    return resource


def older_than(value: int, unit: str, **definitions: Any) -> Any:
    return {"retentionPolicy": {"unit": unit, "value": value}, **definitions}


async def test_a_done_task_is_deleted_when_its_retention_has_passed(rpc: Rpc, clock: Clock) -> None:
    await rpc.call("awf.definition/put", id="test/task", retention=60_000)
    task, open_one = await done(rpc), await rpc.create()
    await clock.advance(59)
    assert await ids(rpc) == {task["id"], open_one["id"]}
    await clock.advance(1)

    async def deleted() -> bool:
        return await ids(rpc) == {open_one["id"]}

    await until(deleted)
    gone = await rpc.call("awf.task/status", id=task["id"])
    assert gone.error["type"] == "task-not-found"
    log = (await rpc.get("/AidboxTaskLog", **{".subject.id": task["id"]})).body
    assert log["total"] == 4, "its log stays until its day is dropped"


async def test_a_retention_holds_for_every_task_that_ends_after_it_was_put(
    rpc: Rpc, clock: Clock, database_url: str
) -> None:
    await rpc.call("awf.definition/put", id="test/task", retention=600_000)
    earlier = await rpc.started()
    await rpc.call("awf.definition/put", id="test/task", retention=1000)
    await rpc.call("awf.task/success", id=earlier["id"], execId=earlier["execId"])
    await clock.advance(1)

    async def deleted() -> bool:
        return not await ids(rpc)

    await until(deleted)
    await rpc.call("awf.definition/put", id="test/task")
    kept = await done(rpc)
    async with connected(database_url) as database:
        assert await database.fetchval("select expire_at from taskrpc.task where id = $1", kept["id"]) is None


async def test_a_retention_holds_for_tasks_that_are_older_than_the_first_definition_of_their_name(
    rpc: Rpc, clock: Clock
) -> None:
    undefined, failed = await rpc.started(), await rpc.started()
    canceled = await rpc.create()
    await rpc.call("awf.definition/put", id="test/task", retention=1000)
    await rpc.call("awf.task/success", id=undefined["id"], execId=undefined["execId"])
    await rpc.call("awf.task/stop", id=failed["id"])  # so that it is not tried again
    await rpc.call("awf.task/fail", id=failed["id"], execId=failed["execId"])
    await rpc.call("awf.task/cancel", id=canceled["id"])
    await clock.advance(1)

    async def deleted() -> bool:
        return not await ids(rpc)

    await until(deleted)


async def test_a_task_that_is_tried_again_is_not_deleted(rpc: Rpc, clock: Clock, database_url: str) -> None:
    await rpc.call("awf.definition/put", id="test/task", retention=1000)
    task = await rpc.create()
    await rpc.call("awf.task/cancel", id=task["id"])
    await rpc.call("awf.task/retry", id=task["id"])
    other = await done(rpc)
    await clock.advance(10)

    async def deleted() -> bool:
        return await ids(rpc) == {task["id"]}

    await until(deleted)
    assert other["id"] != task["id"]


async def test_a_clean_up_deletes_what_is_old_and_done(rpc: Rpc, clock: Clock) -> None:
    old, old_but_open = await done(rpc), await rpc.create()
    await clock.advance(3600)
    young = await done(rpc, "young/task")
    clean_up = await cleaned_up(rpc, older_than(1, "hour"))
    assert (clean_up["outcome"], clean_up["retryCount"]) == ("succeeded", 1)
    assert clean_up["result"] == {"deletedRowsCount": {"AidboxTask": 1, "AidboxTaskLog": 0, "AidboxWorkflow": 0}}
    assert clean_up["progress"] == {"current": 1, "unit": "rows"}
    assert await ids(rpc) == {old_but_open["id"], young["id"]}
    assert old["id"] not in await ids(rpc)


@pytest.mark.parametrize(
    ("narrow", "left"),
    [
        ({"includeDefinitions": ["a/task"]}, {"b", "c"}),
        ({"excludeDefinitions": ["a/task"]}, {"a"}),
        ({"includeDefinitions": []}, {"a", "b", "c"}),
        ({"excludeDefinitions": []}, set()),
        ({}, set()),
    ],
)
async def test_a_clean_up_is_narrowed_to_definitions(rpc: Rpc, narrow: Any, left: set[str]) -> None:
    for name in ("a", "b", "c"):
        await done(rpc, f"{name}/task", id=name)
    await cleaned_up(rpc, older_than(0, "days", **narrow))
    assert await ids(rpc) == left


async def test_all_rules_of_a_clean_up_are_applied(rpc: Rpc, clock: Clock) -> None:
    await done(rpc, "a/task", id="a-old")
    await done(rpc, "b/task", id="b-old")
    await clock.advance(86_400 * 8)
    await done(rpc, "b/task", id="b-young")
    rules = (older_than(1, "month", includeDefinitions=["a/task"]), older_than(1, "weeks"))
    assert (await cleaned_up(rpc, *rules))["result"]["deletedRowsCount"]["AidboxTask"] == 2
    assert await ids(rpc) == {"b-young"}


async def test_no_executor_gets_a_clean_up_and_a_bad_one_is_refused(rpc: Rpc) -> None:
    refused = await rpc.call("awf.task/long-poll", taskDefinitions=[CLEAN_UP])
    assert refused.error["type"] == "invalid-params"
    rule = older_than(1, "fortnight")
    bad = await rpc.call("awf.task/create-and-execute", definition=CLEAN_UP, params={"rules": [rule]})
    assert bad.error["data"]["errors"][0]["path"] == "params.rules.0.retentionPolicy.unit"


async def test_a_clean_up_may_begin_later(rpc: Rpc, service: Running, clock: Clock) -> None:
    await done(rpc)
    params = {"rules": [older_than(0, "day")]}
    task = await rpc.create(CLEAN_UP, params=params, executeAt="2100-01-01T00:00:00Z")
    assert task["status"] == "waiting"
    await clock.move_to("2100-01-01T00:00:01")
    service.reaper.poke()
    done_one = (await rpc.call("awf.task/result", id=task["id"])).result["resource"]
    assert done_one["result"]["deletedRowsCount"]["AidboxTask"] == 1
