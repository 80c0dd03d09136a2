"""Flows that are started by what becomes of executions of others: exactly once for each."""

import asyncio
from typing import Any

import asyncpg
import pytest

from taskrpc.app import Running
from tests.databases import connected
from tests.services import Rpc, running_service
from tests.system.waiting import until

MAKE = {"id": "make", "type": "core.debug.Return", "format": "made by {{ execution.id }}"}
FAIL = {"id": "fail", "type": "core.execution.Fail"}
SAY = {
    "id": "say",
    "type": "core.debug.Return",
    "format": "{{ inputs.made ?? 'nothing' }}: {{ trigger.flowId }} {{ trigger.state }} {{ trigger.outputs }}",
}
LISTEN: dict[str, Any] = {"id": "listen", "type": "core.trigger.Flow"}


async def put(rpc: Rpc, id: str, *tasks: Any, **fields: Any) -> None:
    flow = {"id": id, "namespace": "company.team", "tasks": list(tasks), **fields}
    assert (await rpc.call("awf.flow/put", **flow)).result


async def put_listener(rpc: Rpc, trigger: Any = None, id: str = "listener", **fields: Any) -> None:
    outputs = [{"id": "said", "type": "STRING", "value": "{{ outputs.say.value }}"}]
    await put(rpc, id, SAY, triggers=[{**LISTEN, **(trigger or {})}], outputs=outputs, **fields)


async def run(rpc: Rpc, id: str = "source", state: str = "SUCCESS") -> Any:
    """An execution that has ended, in this state."""
    created = await rpc.call("awf.workflow/create-and-execute", definition=f"company.team.{id}")
    ended = await rpc.call("awf.workflow/result", id=created.result["resource"]["id"], timeout=10_000)
    assert ended.result["resource"]["state"] == state, ended.result
    return ended.result["resource"]


async def started(rpc: Rpc, count: int, id: str = "listener") -> list[Any]:
    """What has been started of a flow, the oldest first, once it is exactly so many and all have ended."""

    async def there() -> Any:
        filters = {"includeDefinitions": [f"company.team.{id}"]}
        listed = (await rpc.call("awf.workflow/list", filter=filters, sort={"createdAt": "asc"})).result["resources"]
        return listed if [each["status"] for each in listed] == ["done"] * count else None

    found: list[Any] = await until(there)
    return found


async def test_the_end_of_an_execution_starts_a_flow_that_listens(rpc: Rpc) -> None:
    outputs = [{"id": "n", "type": "INT", "value": "7"}]
    await put(rpc, "source", MAKE, outputs=outputs, labels={"team": "a"})
    inputs = {"made": "{{ outputs.make.value }}"}
    await put_listener(rpc, {"inputs": inputs}, inputs=[{"id": "made", "type": "STRING"}])
    source = await run(rpc)
    (execution,) = await started(rpc, 1)
    assert execution["params"] == {"made": f"made by {source['id']}"}
    assert execution["result"]["said"] == f"made by {source['id']}: source SUCCESS " + '{"n":7}'
    assert execution["requester"] == {
        "id": source["id"],
        "resourceType": "AidboxWorkflow",
        "trigger": "company.team.listener/listen",
    }


async def test_conditions_and_states_choose_what_is_listened_to(rpc: Rpc) -> None:
    await put(rpc, "good", MAKE)
    await put(rpc, "bad", FAIL)
    bad = {"type": "core.condition.ExecutionFlow", "namespace": "company.team", "flowId": "bad"}
    expression = {"type": "core.condition.Expression", "expression": "{{ outputs.make.value contains 'made' }}"}
    await put_listener(rpc, {"states": ["FAILED"]}, "of-failures")
    await put_listener(rpc, {"conditions": [bad]}, "of-bad")
    await put_listener(rpc, {"conditions": [expression]}, "of-made")
    await put_listener(rpc, {"disabled": True}, "of-nothing")
    await put_listener(rpc, None, "switched-off", disabled=True)
    await run(rpc, "good")
    await run(rpc, "bad", "FAILED")
    for id in ("of-failures", "of-bad"):
        (execution,) = await started(rpc, 1, id)
        assert execution["result"]["said"].startswith("nothing: bad FAILED")
    (execution,) = await started(rpc, 1, "of-made")
    assert execution["result"]["said"].startswith("nothing: good SUCCESS")
    for id in ("of-nothing", "switched-off"):
        await started_none(rpc, id)


async def started_none(rpc: Rpc, id: str) -> None:
    listed = await rpc.call("awf.workflow/list", filter={"includeDefinitions": [f"company.team.{id}"]})
    assert listed.result["total"] == 0


async def test_a_pause_is_listened_to_and_the_end_too(rpc: Rpc) -> None:
    await put(rpc, "source", {"id": "wait", "type": "core.flow.Pause", "pauseDuration": "PT0.1S"}, MAKE)
    await put_listener(rpc)
    await run(rpc)
    said = {execution["result"]["said"] for execution in await started(rpc, 2)}
    assert said == {"nothing: source PAUSED {}", "nothing: source SUCCESS {}"}


async def test_a_state_that_is_passed_in_one_step_is_seen(rpc: Rpc) -> None:
    await put(rpc, "source", MAKE)
    await put_listener(rpc, {"states": ["RUNNING"]})
    await run(rpc)
    (execution,) = await started(rpc, 1)
    assert execution["result"]["said"].startswith("nothing: source RUNNING")


async def test_inputs_that_do_not_fit_start_nothing_and_the_others_start(
    rpc: Rpc, caplog: pytest.LogCaptureFixture
) -> None:
    await put(rpc, "source", MAKE)
    await put_listener(rpc, {"inputs": {"made": "{{ outputs.other.value }}"}}, "wrong-expression")
    await put_listener(rpc, None, "wrong-inputs", inputs=[{"id": "made", "type": "INT"}])
    await put_listener(rpc)
    await run(rpc)
    await started(rpc, 1)
    for id in ("wrong-expression", "wrong-inputs"):
        await started_none(rpc, id)
        assert f"trigger listen of the flow company.team.{id}: SUCCESS of execution" in caplog.text


async def test_a_listener_is_stopped_by_a_state_of_what_it_started(rpc: Rpc) -> None:
    await put(rpc, "source", MAKE)
    await put(rpc, "listener", FAIL, triggers=[{**LISTEN, "stopAfter": "FAILED", "conditions": [_of("source")]}])
    await put_listener(rpc, {"conditions": [_of("source")]}, "other")
    await run(rpc)
    await started(rpc, 1)
    await run(rpc)
    await started(rpc, 2, "other")
    await started(rpc, 1)


def _of(id: str) -> dict[str, Any]:
    return {"type": "core.condition.ExecutionFlow", "namespace": "company.team", "flowId": id}


async def test_a_flow_does_not_hear_itself(rpc: Rpc) -> None:
    await put(rpc, "source", MAKE, triggers=[{**LISTEN, "conditions": [_of("source")]}])
    await put_listener(rpc)
    await run(rpc)
    await started(rpc, 1)
    await started(rpc, 1, "source")


async def test_a_chain_keeps_the_correlation_of_its_first_execution(rpc: Rpc, database_url: str) -> None:
    await put(rpc, "source", MAKE)
    await put_listener(rpc, {"conditions": [_of("source")]})
    await put_listener(rpc, {"conditions": [_of("listener")]}, "last")
    source = await run(rpc)
    (last,) = await started(rpc, 1, "last")
    async with connected(database_url) as observer:
        labels = await _labels(observer, last["id"])
    assert labels == source["id"]


async def _labels(observer: asyncpg.Connection, id: str) -> Any:
    return await observer.fetchval(
        "select head #>> '{labels,system.correlationId}' from taskrpc.execution where id = $1", id
    )


async def test_on_two_servers_each_end_starts_one(rpc: Rpc, service: Running, database_url: str) -> None:
    async with running_service(database_url) as second, Rpc(second.url) as other:
        await put(rpc, "source", MAKE)
        await put_listener(rpc)
        sources = await asyncio.gather(*(run(each) for each in [rpc, other] * 10))
        executions = await started(other, 20)
    assert {each["requester"]["id"] for each in executions} == {each["id"] for each in sources}


def _all_of(*ids: str, **fields: Any) -> dict[str, Any]:
    """A trigger that wants executions of all of these flows, within a window that is longer than any test."""
    flows = [{"namespace": "company.team", "flowId": id} for id in ids]
    window = {"type": "SLIDING_WINDOW", "window": "P1D"}
    return {"preconditions": {"id": "all", "timeWindow": window, "flows": flows, **fields}}


async def test_a_flow_starts_once_when_all_of_its_preconditions_are_met(rpc: Rpc) -> None:
    await put(rpc, "one", MAKE)
    await put(rpc, "two", MAKE)
    trigger = {**_all_of("one", "two"), "inputs": {"made": "{{ outputs.make.value }}"}}
    await put_listener(rpc, trigger, inputs=[{"id": "made", "type": "STRING"}])
    await run(rpc, "one")
    await run(rpc, "one")
    await started_none(rpc, "listener")
    last = await run(rpc, "two")
    (execution,) = await started(rpc, 1)
    assert execution["requester"]["id"] == last["id"]
    assert execution["result"]["said"].startswith(f"made by {last['id']}: two SUCCESS")
    await run(rpc, "two")
    await started(rpc, 1)
    await run(rpc, "one")
    await started(rpc, 2)


async def test_preconditions_that_stay_met_start_a_flow_again(rpc: Rpc) -> None:
    await put(rpc, "one", MAKE)
    await put(rpc, "two", MAKE)
    await put_listener(rpc, _all_of("one", "two", resetOnSuccess=False))
    for id in ("one", "two", "two"):
        await run(rpc, id)
    await started(rpc, 2)


async def test_a_trigger_that_is_changed_forgets_what_was_met_and_one_that_is_not_does_not(rpc: Rpc) -> None:
    await put(rpc, "one", MAKE)
    await put(rpc, "two", MAKE)
    await put_listener(rpc, _all_of("one", "two"), "changed")
    await put_listener(rpc, _all_of("one", "two"), "kept")
    await run(rpc, "one")
    await put_listener(rpc, {**_all_of("one", "two"), "labels": {"is": "new"}}, "changed")
    await put_listener(rpc, _all_of("one", "two"), "kept", description="with another text")
    await run(rpc, "two")
    await started(rpc, 1, "kept")
    await started_none(rpc, "changed")


async def test_ends_at_once_on_two_servers_meet_preconditions_once(
    rpc: Rpc, service: Running, database_url: str
) -> None:
    async with running_service(database_url) as second, Rpc(second.url) as other:
        await put(rpc, "one", MAKE)
        await put(rpc, "two", MAKE)
        await put_listener(rpc, _all_of("one", "two"))
        for n in range(1, 11):
            await asyncio.gather(run(rpc, "one"), run(other, "two"))
            await started(other, n)
