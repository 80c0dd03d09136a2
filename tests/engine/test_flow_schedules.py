"""Schedule triggers of flows are rules of the scheduler that come, change and go with their flow."""

from typing import Any

import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import Clock
from tests.engine.headless import Headless

SAY = {"id": "say", "type": "core.log.Log", "message": "x"}
NIGHTLY: dict[str, Any] = {"id": "nightly", "type": "core.trigger.Schedule", "cron": "30 2 * * *"}
HOURLY: dict[str, Any] = {
    "id": "hourly", "type": "core.trigger.Schedule", "cron": "0 0 * * * *", "withSeconds": True,
    "timezone": "Europe/Berlin", "allowConcurrent": True, "lateMaximumDelay": "PT1M0.5S",
    "recoverMissedSchedules": "LAST",
}  # fmt: skip
NAMES = {"namespace": "company.team", "id": "report"}


async def _put(server: Headless, *triggers: Any, **changed: Any) -> None:
    await server.call("awf.flow/put", **NAMES, tasks=[SAY], triggers=list(triggers), **changed)


async def _rules(server: Headless) -> dict[str, Any]:
    return {rule["id"]: rule for rule in (await server.call("awf.scheduler/list"))["resources"]}


async def test_schedules_become_rules_that_say_what_they_belong_to(server: Headless, clock: Clock) -> None:
    await clock.move_to("2027-01-31T09:00:30")
    await _put(server, NIGHTLY, HOURLY)
    rules = await _rules(server)
    assert list(rules) == ["company.team.report/hourly", "company.team.report/nightly"]
    nightly, hourly = rules["company.team.report/nightly"], rules["company.team.report/hourly"]
    assert (nightly["flow"], nightly["trigger"]) == ("company.team.report", "nightly")
    assert nightly["workflow-request"] == {"definition": "company.team.report"}
    assert nightly["next-tick"] == "2027-02-01T02:30:00.000000Z"
    assert (nightly["concurrency-policy"], nightly["missed-ticks"]) == ("wait", "all")
    assert (hourly["schedule"], hourly["timezone"]) == ("0 0 * * * *", "Europe/Berlin")
    assert (hourly["concurrency-policy"], hourly["missed-ticks"]) == ("allow", "last")
    assert (hourly["start-deadline-seconds"], hourly["next-tick"]) == (61, "2027-01-31T10:00:00.000000Z")


async def test_rules_change_and_go_with_their_triggers(server: Headless, clock: Clock) -> None:
    await clock.move_to("2027-01-31T09:00:30")
    await _put(server, NIGHTLY, HOURLY)
    await _put(server, {**NIGHTLY, "cron": "30 3 * * *"})
    (rule,) = (await _rules(server)).values()
    assert (rule["schedule"], rule["next-tick"]) == ("30 3 * * *", "2027-02-01T03:30:00.000000Z")
    await _put(server, {**NIGHTLY, "disabled": True})
    assert await _rules(server) == {}
    await _put(server, NIGHTLY, disabled=True)
    assert await _rules(server) == {}
    await _put(server, NIGHTLY)
    assert list(await _rules(server)) == ["company.team.report/nightly"]
    await server.call("awf.flow/delete", **NAMES)
    assert await _rules(server) == {}


async def test_a_schedule_that_stays_as_it_was_keeps_a_tick_that_was_missed(still: Headless, clock: Clock) -> None:
    await clock.move_to("2027-01-31T02:00:00")
    await _put(still, NIGHTLY)
    await clock.move_to("2027-01-31T02:30:00")
    await _put(still, NIGHTLY, description="changed")
    assert (await _rules(still))["company.team.report/nightly"]["next-tick"] == "2027-01-31T02:30:00.000000Z"


async def test_a_rule_belongs_to_its_flow_or_to_nobody(server: Headless) -> None:
    await _put(server, NIGHTLY)
    rule = {"id": "company.team.report/nightly", "schedule": "@daily", "task-request": {"definition": "a"}}
    for method, params in (("put", rule), ("delete", {"id": rule["id"]})):
        with pytest.raises(TaskRpcError, match=r"invalid-params: id: .* is the trigger nightly of the flow company"):
            await server.call(f"awf.scheduler/{method}", **params)
    await server.call("awf.scheduler/put", **{**rule, "id": "company.team.report/mine"})
    with pytest.raises(
        TaskRpcError, match=r"invalid-params: triggers\[1\]\.id: there is a rule company\.team\.report/m"
    ):
        await _put(server, NIGHTLY, {**NIGHTLY, "id": "mine"})
    rules = await _rules(server)
    assert rules["company.team.report/mine"]["schedule"] == "@daily"
    assert (await server.call("awf.flow/get", **NAMES))["resource"]["revision"] == 1
    with pytest.raises(TaskRpcError, match=r"invalid-params: triggers\[0\]\.id: it has at most 235 characters here"):
        await _put(server, {**NIGHTLY, "id": "x" * 236})
