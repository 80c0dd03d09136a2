"""The scheduler's rules over HTTP: what they start and when, by a clock that is moved."""

from typing import Any

import pytest

from taskrpc.app import Running
from taskrpc.engine import scheduler
from tests.databases import Clock, connected
from tests.services import Rpc
from tests.system.waiting import until

SELECTS: Any = {"get-in": ["n"], "comparator": "eq", "value": 1}
RULE: Any = {"schedule": "0 9 * * *", "task-request": {"definition": "test/task", "params": {"n": 1}}}


async def put(rpc: Rpc, changes: Any = None, id: str = "rule", **fields: Any) -> Any:
    return (await rpc.call("awf.scheduler/put", id=id, **{**RULE, **fields, **(changes or {})})).result["resource"]


async def get(rpc: Rpc, id: str = "rule") -> Any:
    return (await rpc.call("awf.scheduler/get", id=id)).result["resource"]


async def move_to(clock: Clock, service: Running, time: str) -> None:
    await clock.move_to(time)
    service.scheduler.poke()


async def tasks_of(rpc: Rpc, id: str = "rule") -> list[Any]:
    """What a rule has started, the oldest first."""
    bundle = (await rpc.get("/AidboxTask", _sort="createdAt", **{".requester.id": id})).body
    return [entry["resource"] for entry in bundle["entry"]]


async def judged(rpc: Rpc, next_tick: str, id: str = "rule") -> Any:
    """The rule once all ticks before that one are judged."""

    async def there() -> Any:
        rule = await get(rpc, id)
        return rule if rule.get("next-tick") == next_tick else None

    return await until(there)


async def test_a_rule_starts_its_task_at_each_tick(rpc: Rpc, service: Running, clock: Clock) -> None:
    await move_to(clock, service, "2027-01-31T08:59:30")
    rule = await put(rpc)
    assert rule["next-tick"] == "2027-01-31T09:00:00.000000Z"
    assert not rule.keys() & {"last-fire", "last-skip"}
    await move_to(clock, service, "2027-01-31T09:00:01")
    rule = await judged(rpc, "2027-02-01T09:00:00.000000Z")
    (task,) = await tasks_of(rpc)
    assert task["requester"] == {
        "id": "rule",
        "resourceType": "AidboxSchedulerRule",
        "tick": "2027-01-31T09:00:00.000000Z",
    }
    assert (task["definition"], task["params"], task["status"]) == ("test/task", {"n": 1}, "ready")
    assert rule["last-fire"]["tick"] == "2027-01-31T09:00:00.000000Z"
    assert rule["last-fire"]["started"] == {"id": task["id"], "resourceType": "AidboxTask"}
    assert [polled["id"] for polled in await rpc.poll()] == [task["id"]]


async def test_a_tick_fires_by_itself_when_its_time_has_come(
    rpc: Rpc, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LONGEST_PAUSE_SECONDS", 3600.0)
    await clock.move_to("2027-01-31T08:59:57")
    await put(rpc)
    (task,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["test/task"])).result["resources"]
    assert task["requester"]["tick"] == "2027-01-31T09:00:00.000000Z" <= task["meta"]["createdAt"]


@pytest.mark.parametrize(
    ("before", "after", "ticks", "following"),
    [
        # 02:30 of 28 March does not exist in Berlin: the clocks go from 02:00 to 03:00, which is 01:00 UTC.
        ("2027-03-28T00:59:30", "2027-03-28T01:00:30", ["2027-03-28T01:00:00.000000Z"], "2027-03-29T00:30:00.000000Z"),
        # 02:30 of 31 October comes twice: at 00:30 and at 01:30 UTC.
        ("2027-10-31T00:29:30", "2027-10-31T00:30:30", ["2027-10-31T00:30:00.000000Z"], "2027-11-01T01:30:00.000000Z"),
        ("2027-10-31T00:30:01", "2027-10-31T01:30:30", [], "2027-11-01T01:30:00.000000Z"),
    ],
    ids=["a time that is left out", "a time that comes twice", "its second coming"],
)
async def test_a_rule_fires_once_a_day_when_the_clocks_change(
    rpc: Rpc, service: Running, clock: Clock, before: str, after: str, ticks: list[str], following: str
) -> None:
    await clock.move_to(before)
    await put(rpc, schedule="30 2 * * *", timezone="Europe/Berlin")
    await move_to(clock, service, after)
    await judged(rpc, following)
    assert [task["requester"]["tick"] for task in await tasks_of(rpc)] == ticks


async def test_a_tick_is_skipped_while_what_the_former_one_started_is_not_done(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc, schedule="* * * * *")
    await move_to(clock, service, "2027-01-31T09:00:01")
    await judged(rpc, "2027-01-31T09:01:00.000000Z")
    await move_to(clock, service, "2027-01-31T09:01:01")
    rule = await judged(rpc, "2027-01-31T09:02:00.000000Z")
    (task,) = await tasks_of(rpc)
    assert rule["last-skip"] == {
        "tick": "2027-01-31T09:01:00.000000Z",
        "type": "wrong-status",
        "message": f"AidboxTask {task['id']}, which rule rule started last, is ready",
    }
    await rpc.call("awf.task/cancel", id=task["id"])
    await move_to(clock, service, "2027-01-31T09:02:01")
    await judged(rpc, "2027-01-31T09:03:00.000000Z")
    assert [each["requester"]["tick"][11:16] for each in await tasks_of(rpc)] == ["09:00", "09:02"]


async def test_a_rule_that_allows_it_starts_a_task_at_every_tick(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc, {"concurrency-policy": "allow"}, schedule="* * * * *")
    for minute in range(3):
        await move_to(clock, service, f"2027-01-31T09:0{minute}:01")
        await judged(rpc, f"2027-01-31T09:0{minute + 1}:00.000000Z")
    assert len(await tasks_of(rpc)) == 3


async def test_a_tick_of_a_rule_that_waits_comes_when_what_it_started_last_is_done(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    policy = {"concurrency-policy": "wait", "start-deadline-seconds": 3600}
    await put(rpc, policy, schedule="* * * * *")
    await move_to(clock, service, "2027-01-31T09:02:01")
    rule = await judged(rpc, "2027-01-31T09:01:00.000000Z")
    refusal = (await rpc.call("awf.scheduler/run", id="rule")).error
    assert refusal["type"] == "wrong-status"
    # A server that looks leaves the tick where it is: another rule's tick, which comes later, is judged meanwhile.
    await put(rpc, id="other", schedule="* * * * * *")
    await move_to(clock, service, "2027-01-31T09:02:05")

    async def other_judged() -> bool:
        return bool((await get(rpc, "other"))["next-tick"] > "2027-01-31T09:02:05")

    await until(other_judged)
    assert (await get(rpc))["next-tick"] == "2027-01-31T09:01:00.000000Z"
    for following in ("09:02", "09:03"):
        (*_, task) = await tasks_of(rpc)
        await rpc.call("awf.task/cancel", id=task["id"])
        rule = await judged(rpc, f"2027-01-31T{following}:00.000000Z")
    assert "last-skip" not in rule
    assert [each["requester"]["tick"][11:16] for each in await tasks_of(rpc)] == ["09:00", "09:01", "09:02"]


async def test_of_missed_ticks_the_last_one_or_none_fires_if_the_rule_says_so(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    for missed in ("last", "none"):
        policy = {"concurrency-policy": "allow", "start-deadline-seconds": 7200, "missed-ticks": missed}
        await put(rpc, policy, id=missed, schedule="* * * * *")
    await move_to(clock, service, "2027-01-31T10:00:10")
    for missed, fired in (("last", ["10:00"]), ("none", [])):
        rule = await judged(rpc, "2027-01-31T10:01:00.000000Z", missed)
        assert [each["requester"]["tick"][11:16] for each in await tasks_of(rpc, missed)] == fired
        assert rule["last-skip"]["message"].endswith(
            {"last": "only the last starts anything", "none": "none start anything"}[missed]
        )


async def test_ticks_missed_within_the_deadline_fire_and_those_beyond_it_do_not(
    rpc: Rpc, service: Running, clock: Clock
) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc, {"concurrency-policy": "allow", "start-deadline-seconds": 150}, schedule="* * * * *")
    await move_to(clock, service, "2027-01-31T10:00:10")
    rule = await judged(rpc, "2027-01-31T10:01:00.000000Z")
    assert [each["requester"]["tick"][11:16] for each in await tasks_of(rpc)] == ["09:58", "09:59", "10:00"]
    assert (rule["last-skip"]["type"], rule["last-skip"]["tick"]) == ("missed", "2027-01-31T09:00:00.000000Z")


async def test_a_new_rule_may_start_at_once_and_only_then(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T10:00:00")
    await put(rpc, {"execute-on-setup": True})
    await judged(rpc, "2027-02-01T09:00:00.000000Z")
    changed = await put(rpc, {"execute-on-setup": True, "start-deadline-seconds": 10})
    assert (changed["meta"]["versionId"], changed["next-tick"]) == ("2", "2027-02-01T09:00:00.000000Z")
    assert len(await tasks_of(rpc)) == 1


async def test_a_tick_stays_when_a_rule_changes_but_its_schedule_does_not(rpc: Rpc, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:00:00")
    first = await put(rpc)
    assert await put(rpc) == first
    renamed = await put(rpc, {"task-request": {"definition": "other/task"}})
    assert (renamed["next-tick"], renamed["meta"]["versionId"]) == (first["next-tick"], "2")
    moved = await put(rpc, timezone="America/New_York")
    assert moved["next-tick"] == "2027-01-31T14:00:00.000000Z"


async def test_a_rule_that_is_put_again_is_free_of_a_clock_that_was_ahead(rpc: Rpc, clock: Clock) -> None:
    await clock.move_to("2037-01-31T08:00:00")
    ahead = await put(rpc)
    await clock.move_to("2027-01-31T08:00:00")
    assert (ahead["next-tick"], (await put(rpc))["next-tick"]) == (
        "2037-01-31T09:00:00.000000Z",
        "2027-01-31T09:00:00.000000Z",
    )


async def test_a_tick_that_meets_a_full_queue_is_skipped(rpc: Rpc, service: Running, clock: Clock) -> None:
    await rpc.call("awf.definition/put", id="test/task", queueLimit=1, concurrencyLimit=1)
    await rpc.create()
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc)
    await move_to(clock, service, "2027-01-31T09:00:01")
    rule = await judged(rpc, "2027-02-01T09:00:00.000000Z")
    assert rule["last-skip"]["type"] == "queue-limit-reached"
    assert await tasks_of(rpc) == []


async def test_a_tick_whose_params_no_longer_fit_is_skipped(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc)
    await rpc.call("awf.definition/put", id="test/task", params={"type": "object", "required": ["m"]})
    refused = await rpc.call("awf.scheduler/put", id="other", **RULE)
    assert refused.error["data"]["errors"] == [{"path": "task-request.params", "message": '"m" is a required property'}]
    await move_to(clock, service, "2027-01-31T09:00:01")
    assert (await judged(rpc, "2027-02-01T09:00:00.000000Z"))["last-skip"]["type"] == "invalid-params"


async def test_a_rule_is_run_by_hand_once_per_call(rpc: Rpc, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:00:00")
    await put(rpc)
    task = (await rpc.call("awf.scheduler/run", id="rule", callId="c-1")).result["resource"]
    assert task["requester"] == {"id": "rule", "resourceType": "AidboxSchedulerRule"}
    assert (await rpc.call("awf.scheduler/run", id="rule", callId="c-1")).result["resource"] == task
    second = await rpc.call("awf.scheduler/run", id="rule", callId="c-2")
    assert (second.error["type"], second.error["data"]) == ("wrong-status", {"status": "ready"})
    rule = await get(rpc)
    assert rule["last-fire"]["started"]["id"] == task["id"]
    assert "tick" not in rule["last-fire"]
    assert rule["next-tick"] == "2027-01-31T09:00:00.000000Z"
    await put(rpc, {"concurrency-policy": "allow"})
    await rpc.call("awf.scheduler/run", id="rule")
    assert len(await tasks_of(rpc)) == 2


async def test_a_run_that_meets_a_full_queue_is_refused(rpc: Rpc) -> None:
    await rpc.call("awf.definition/put", id="test/task", queueLimit=0)
    await put(rpc)
    assert (await rpc.call("awf.scheduler/run", id="rule")).error["type"] == "queue-limit-reached"


async def test_a_rule_that_never_ticks_again_says_so(rpc: Rpc, database_url: str) -> None:
    await put(rpc)
    async with connected(database_url) as database:
        await database.execute("update taskrpc.scheduler_rule set next_at = null")
    assert "next-tick" not in await get(rpc)


async def test_rules_are_listed_and_deleted(rpc: Rpc) -> None:
    await put(rpc, id="b")
    await put(rpc, id="a", schedule="@daily")
    rules = (await rpc.call("awf.scheduler/list")).result["resources"]
    assert [(rule["id"], rule["schedule"]) for rule in rules] == [("a", "@daily"), ("b", "0 9 * * *")]
    assert (await rpc.call("awf.scheduler/delete", id="a")).result == {}
    for method in ("get", "delete", "run"):
        gone = await rpc.call(f"awf.scheduler/{method}", id="a")
        assert (gone.status, gone.error["type"]) == (404, "rule-not-found")


async def test_a_rule_starts_its_workflow_at_each_tick(rpc: Rpc, service: Running, clock: Clock) -> None:
    await rpc.call("awf.definition/put", id="test/flow", kind="workflow")
    await clock.move_to("2027-01-31T08:59:30")
    request = {"definition": "test/flow", "params": {"n": 1}, "label": "morning"}
    await rpc.call("awf.scheduler/put", id="rule", schedule="0 9 * * *", **{"workflow-request": request})
    await move_to(clock, service, "2027-01-31T09:00:01")
    started = (await judged(rpc, "2027-02-01T09:00:00.000000Z"))["last-fire"]["started"]
    assert started["resourceType"] == "AidboxWorkflow"
    flow = (await rpc.call("awf.workflow/status", id=started["id"])).result["resource"]
    assert (flow["definition"], flow["params"], flow["label"]) == ("test/flow", {"n": 1}, "morning")
    assert (flow["status"], flow["requester"]["tick"]) == ("in-progress", "2027-01-31T09:00:00.000000Z")
    (decision,) = (await rpc.call("awf.task/poll", workflowDefinitions=["test/flow"])).result["resources"]
    assert decision["requester"] == {"id": flow["id"], "resourceType": "AidboxWorkflow"}
    await move_to(clock, service, "2027-02-01T09:00:01")
    skip = (await judged(rpc, "2027-02-02T09:00:00.000000Z"))["last-skip"]
    assert skip["message"] == f"AidboxWorkflow {flow['id']}, which rule rule started last, is in-progress"
    await rpc.call("awf.workflow/cancel", id=flow["id"])
    again = (await rpc.call("awf.scheduler/run", id="rule", callId="c")).result["resource"]
    assert (again["resourceType"], again["status"]) == ("AidboxWorkflow", "in-progress")
    assert (await rpc.call("awf.scheduler/run", id="rule", callId="c")).result["resource"] == again


@pytest.mark.parametrize(("starts", "kind"), [("workflow", "task"), ("task", "workflow")])
@pytest.mark.parametrize("room", ["scheduler", "subscription"])
async def test_a_rule_for_a_definition_of_the_other_kind_is_refused(
    rpc: Rpc, room: str, starts: str, kind: str
) -> None:
    await rpc.call("awf.definition/put", id="test/other", kind=kind)
    when: Any = {"schedule": "@daily"} if room == "scheduler" else {"select-by": [SELECTS]}
    refused = await rpc.call(f"awf.{room}/put", id="r", **when, **{f"{starts}-request": {"definition": "test/other"}})
    assert refused.error["data"]["errors"] == [
        {
            "path": f"{starts}-request.definition",
            "message": f"test/other is defined as a {kind}, not as a {starts}",
        }
    ]


async def test_a_rule_of_a_built_in_task_is_checked_when_it_is_put(rpc: Rpc) -> None:
    request = {"definition": "awf.task/wait", "params": {"duration": {}}}
    refused = await rpc.call("awf.scheduler/put", id="r", schedule="@daily", **{"task-request": request})
    assert refused.error["data"]["errors"][0]["path"] == "task-request.params.duration"
