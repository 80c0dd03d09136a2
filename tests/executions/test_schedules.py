"""Executions that schedules start: once for each tick, with what `trigger` means, one after the other."""

from typing import Any

from taskrpc.app import Running
from tests.databases import Clock
from tests.services import Rpc
from tests.system.waiting import until

SCHEDULE: dict[str, Any] = {"id": "tick", "type": "core.trigger.Schedule", "cron": "*/10 * * * *"}
TELL = {
    "id": "tell",
    "type": "core.debug.Return",
    "format": "{{ trigger.date }} {{ trigger.next }} {{ trigger.previous }} {{ inputs.day ?? '' }}",
}
NAME = "company.team.report"


async def put(rpc: Rpc, *tasks: Any, trigger: Any = None, **fields: Any) -> None:
    triggers = [{**SCHEDULE, **(trigger or {})}]
    flow = {"id": "report", "namespace": "company.team", "tasks": list(tasks), "triggers": triggers, **fields}
    assert (await rpc.call("awf.flow/put", **flow)).result


async def move_to(clock: Clock, service: Running, time: str) -> None:
    await clock.move_to(time)
    service.scheduler.poke()


async def rule(rpc: Rpc) -> Any:
    return (await rpc.call("awf.scheduler/get", id=f"{NAME}/tick")).result["resource"]


async def executions(rpc: Rpc, count: int, status: str = "done") -> list[Any]:
    """The executions of the flow, the oldest first, once there are so many in a status."""

    async def there() -> Any:
        filters = {"includeDefinitions": [NAME]}
        listed = (await rpc.call("awf.workflow/list", filter=filters, sort={"createdAt": "asc"})).result["resources"]
        return listed if [each["status"] for each in listed].count(status) == count else None

    found: list[Any] = await until(there)
    return found


async def test_a_tick_starts_an_execution_that_knows_its_date(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    trigger = {"timezone": "Europe/Berlin", "inputs": {"day": "{{ trigger.date | date('yyyy-MM-dd') }}"}}
    output = {"id": "told", "type": "STRING", "value": "{{ outputs.tell.value }}"}
    day = {"id": "day", "type": "STRING"}
    await put(rpc, TELL, trigger={**trigger, "labels": {"by": "clock"}}, outputs=[output], inputs=[day])
    await move_to(clock, service, "2027-01-31T09:00:01")
    (execution,) = await executions(rpc, 1)
    assert (execution["state"], execution["params"]) == ("SUCCESS", {"day": "2027-01-31"})
    assert execution["result"]["told"] == (
        "2027-01-31T10:00:00.000+01:00 2027-01-31T10:10:00.000+01:00 2027-01-31T09:50:00.000+01:00 2027-01-31"
    )
    assert execution["requester"] == {
        "id": f"{NAME}/tick",
        "resourceType": "AidboxSchedulerRule",
        "tick": "2027-01-31T09:00:00.000000Z",
    }
    assert (await rule(rpc))["last-fire"]["started"] == {"id": execution["id"], "resourceType": "AidboxWorkflow"}


async def test_missed_ticks_start_one_execution_after_the_other(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc, {"id": "work", "type": "company/work"})
    await move_to(clock, service, "2027-01-31T09:25:00")
    for number, minute in enumerate(("00", "10", "20"), 1):
        (*_, running) = await executions(rpc, 1, "in-progress")
        assert running["requester"]["tick"] == f"2027-01-31T09:{minute}:00.000000Z"
        (task,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["company/work"], start=True)).result[
            "resources"
        ]
        await rpc.call("awf.task/success", id=task["id"], execId=task["execId"])
        await executions(rpc, number)
    assert (await rule(rpc))["next-tick"] == "2027-01-31T09:30:00.000000Z"


async def test_executions_run_side_by_side_where_that_is_allowed(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    await put(rpc, {"id": "work", "type": "company/work"}, trigger={"allowConcurrent": True})
    await move_to(clock, service, "2027-01-31T09:25:00")
    assert len(await executions(rpc, 3, "in-progress")) == 3


async def test_a_schedule_is_stopped_by_a_state_until_it_is_changed(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    fail = {"id": "fail", "type": "core.execution.Fail"}
    await put(rpc, fail, trigger={"stopAfter": ["FAILED"]})
    await move_to(clock, service, "2027-01-31T09:35:00")
    (execution,) = await executions(rpc, 1)
    stopped = await rule(rpc)
    assert "next-tick" not in stopped
    assert (stopped["last-skip"]["type"], stopped["last-skip"]["message"]) == (
        "stopped",
        f"execution {execution['id']} is FAILED",
    )
    await put(rpc, fail, trigger={"stopAfter": ["FAILED"]}, description="something else")
    assert "next-tick" not in await rule(rpc)
    await put(rpc, TELL, trigger={"stopAfter": ["FAILED", "KILLED"]})
    assert (await rule(rpc))["next-tick"] == "2027-01-31T09:40:00.000000Z"


async def test_a_tick_that_can_start_nothing_says_why(rpc: Rpc, service: Running, clock: Clock) -> None:
    await clock.move_to("2027-01-31T08:59:30")
    long_ago = {"type": "core.condition.Expression", "expression": "{{ trigger.date | date('yyyy') == '2000' }}"}
    needed = [{"id": "n", "type": "INT"}]
    cases: list[tuple[str, Any]] = [
        ("condition", {"trigger": {"conditions": [long_ago]}}),
        ("invalid-params", {"inputs": needed}),
    ]
    for number, (expected, fields) in enumerate(cases):
        await put(rpc, TELL, **fields)
        await move_to(clock, service, f"2027-01-31T09:{number}0:01")

        async def skipped(expected: str = expected) -> Any:
            return (await rule(rpc)).get("last-skip", {}).get("type") == expected

        await until(skipped)
    assert (await rule(rpc))["last-skip"]["message"] == "inputs.n: is required; give a value for it"
    assert (await rpc.call("awf.workflow/list")).result["total"] == 0


async def test_a_schedule_can_be_run_by_hand(rpc: Rpc, clock: Clock) -> None:
    await clock.move_to("2027-01-31T09:05:00")
    await put(rpc, TELL, outputs=[{"id": "told", "type": "STRING", "value": "{{ outputs.tell.value }}"}])
    await rpc.call("awf.scheduler/run", id=f"{NAME}/tick")
    (execution,) = await executions(rpc, 1)
    date, following, previous = execution["result"]["told"].split()
    assert date.startswith("2027-01-31T09:05:0")
    assert (following, previous) == ("2027-01-31T09:10:00.000Z", "2027-01-31T09:00:00.000Z")
