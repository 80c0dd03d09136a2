"""What people do to executions: they kill, resume, restart and replay them."""

from typing import Any, Final

import asyncpg
import pytest

from taskrpc.core.submission import Submission
from taskrpc.errors import TaskRpcError
from taskrpc.store.executions import ExecutionStore
from taskrpc.store.statements import SQL
from tests.databases import Clock
from tests.executions.flows import Flows, log, work
from tests.system.waiting import until

_FORMER_CANCEL: Final = """
with changed as (
    update taskrpc.task set
        status = 'done', outcome = 'canceled', open_in = null, version = version + 1, updated_at = taskrpc.now(),
        call = 'cancel', call_at = taskrpc.now(), call_version = version + 1
    where id = $1 returning id
)
insert into taskrpc.event (workflow_id, kind, subject) select id, 'ended', id from changed
"""
# Outputs of which an execution in memory has no copy.
LONG: Final = 5000


async def test_a_killed_flow_cancels_what_it_has_started(flows: Flows) -> None:
    await flows.put(work(), id="sub")
    sub = {"id": "sub", "type": "core.flow.Subflow", "namespace": "company.team", "flowId": "sub"}
    await flows.put({"id": "both", "type": "core.flow.Parallel", "tasks": [work("one"), sub]})
    id = await flows.begin()
    one, two = await flows.task(), await flows.task()
    killed = await flows.call("awf.workflow/kill", id=id)
    assert (killed["resource"]["outcome"], killed["resource"]["state"]) == ("canceled", "KILLED")

    async def all_killed() -> bool:
        return await flows.states(id) == ["both KILLED", "one KILLED", "sub KILLED"]

    await until(all_killed)

    async def all_canceled() -> bool:
        found = [await flows.server.status(task) for task in (one, two)]
        return all(task.get("outcome") == "canceled" for task in found)

    await until(all_canceled)
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/kill", id=id)
    assert refused.value.type == "workflow-has-been-done"


async def _all_killed(flows: Flows, id: str) -> Any:
    """The workflow once all of its execution's runs are killed."""

    async def killed() -> Any:
        states = await flows.states(id)
        return states and all(state.endswith(" KILLED") for state in states)

    await until(killed)
    return await flows.workflow(id)


async def test_a_flow_whose_definition_is_deleted_is_killed(flows: Flows, clock: Clock) -> None:
    await flows.put(work())
    id = await flows.server.parts.services.asynchronous.submit("company.team.flow", {}, Submission())
    await flows.reaches(id, "RUNNING")
    await flows.call("awf.flow/delete", id="flow", namespace="company.team")
    await clock.advance(1)
    assert (await flows.ended(id))["state"] == "KILLED"
    assert (await _all_killed(flows, id))["state"] == "KILLED"


async def test_a_flow_that_a_server_of_a_former_version_has_canceled_is_killed(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    """That one leaves the state as it is."""
    await flows.put(work())
    id = await flows.begin()
    await flows.reaches(id, "RUNNING")
    await observer.execute(_FORMER_CANCEL, id)
    flows.server.parts.services.executions.loop.told([id])
    assert (await _all_killed(flows, id))["state"] == "KILLED"


async def test_a_killed_flow_is_not_restarted_before_it_knows(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.put({"id": "wait", "type": "core.flow.Pause"})
    id = await flows.begin()
    await flows.reaches(id, "PAUSED")
    version = await observer.fetchval("select version from taskrpc.execution where id = $1", id)
    assert await observer.fetch(SQL["cancel_workflows"], [id], ["kill"])
    assert not await observer.fetch(SQL["restart_execution"], id, version, "restart")
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/restart", id=id)
    assert refused.value.type == "cannot-restart"


async def test_a_paused_flow_is_resumed_with_inputs(flows: Flows) -> None:
    pause = {"id": "ask", "type": "core.flow.Pause", "onResume": [{"id": "n", "type": "INT"}]}
    await flows.put(pause, {"id": "r", "type": "core.debug.Return", "format": "{{ outputs.ask.onResume.n + 1 }}"})
    id = await flows.begin()
    await flows.reaches(id, "PAUSED")
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/resume", id=id)
    assert refused.value.data == {"errors": [{"path": "inputs.n", "message": "is required; give a value for it"}]}
    first = await flows.call("awf.workflow/resume", id=id, inputs={"n": 6}, callId="once")
    await flows.ended(id, "SUCCESS")
    assert (await flows.runs(id))[-1]["outputs"] == {"value": "7"}
    with pytest.raises(TaskRpcError) as late:
        await flows.call("awf.workflow/resume", id=id, inputs={"n": 6})
    assert (late.value.type, late.value.data) == ("cannot-resume", {"state": "SUCCESS", "taskRunIds": []})
    assert first["resource"]["id"] == id


async def test_what_a_resume_asks_for_may_depend_on_what_the_flow_knows(flows: Flows) -> None:
    await flows.call("awf.kv/put", namespace="company.team", key="who", value="ada")
    asked = [
        {"id": "who", "type": "STRING", "defaults": "{{ kv('who') }}"},
        {"id": "made", "type": "INT", "defaults": "{{ outputs.work.made | length }}"},
    ]
    told = {"id": "r", "type": "core.debug.Return", "format": "{{ outputs.ask.onResume | toJson }}"}
    await flows.put(work(), {"id": "ask", "type": "core.flow.Pause", "onResume": asked}, told)
    id = await flows.begin()
    await flows.work(made="x" * LONG)
    await flows.reaches(id, "PAUSED")
    await flows.call("awf.workflow/resume", id=id)
    await flows.ended(id, "SUCCESS")
    assert (await flows.runs(id))[-1]["outputs"] == {"value": f'{{"who":"ada","made":{LONG}}}'}


async def test_of_several_pauses_one_has_to_be_named(flows: Flows) -> None:
    pauses = [{"id": name, "type": "core.flow.Pause"} for name in ("p", "q")]
    await flows.put({"id": "both", "type": "core.flow.Parallel", "tasks": pauses})
    id = await flows.begin()

    async def both_wait() -> bool:
        return (await flows.states(id)).count("p PAUSED") + (await flows.states(id)).count("q PAUSED") == 2

    await until(both_wait)
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/resume", id=id)
    named: Any = refused.value.data
    assert named["taskRunIds"] == [f"{id}-2", f"{id}-3"]
    with pytest.raises(TaskRpcError, match="is not paused"):
        await flows.call("awf.workflow/resume", id=id, taskRunId="other")
    for run in named["taskRunIds"]:
        await flows.call("awf.workflow/resume", id=id, taskRunId=run)
    await flows.ended(id, "SUCCESS")


async def test_a_failed_flow_is_restarted(flows: Flows) -> None:
    await flows.put(log(), work(), work("more"))
    id = await flows.begin()
    await flows.fail()
    await flows.ended(id, "FAILED")
    again = await flows.call("awf.workflow/restart", id=id, callId="once")
    assert again["resource"]["status"] == "in-progress"
    assert await flows.call("awf.workflow/restart", id=id, callId="once") == again
    await flows.work()
    await flows.work()
    ended = await flows.ended(id, "SUCCESS")
    assert ended["outcome"] == "succeeded"
    assert await flows.states(id) == ["say SUCCESS", "work SUCCESS", "more SUCCESS"]
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/restart", id=id)
    assert refused.value.type == "cannot-restart"


@pytest.mark.parametrize("call", ["resume", "restart", "replay"])
async def test_long_outputs_are_not_read_where_they_are_not_needed(
    flows: Flows, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    await flows.put(work(), {"id": "ask", "type": "core.flow.Pause"})
    id = await flows.begin()
    await flows.work(made="x" * LONG)
    await flows.reaches(id, "PAUSED")
    read: list[int] = []
    runs = ExecutionStore.runs

    async def watched(store: ExecutionStore, key: int, longest_outputs: int) -> list[asyncpg.Record]:
        found = await runs(store, key, longest_outputs)
        read.append(sum(len(row["outputs"] or "") for row in found))
        return found

    monkeypatch.setattr(ExecutionStore, "runs", watched)
    await flows.call(f"awf.workflow/{call}", id=id)
    assert read
    assert max(read) < LONG


async def test_a_flow_is_replayed_from_a_task_run_on(flows: Flows) -> None:
    await flows.put(work("one"), work("two", of="{{ outputs.one.made }}"))
    id = await flows.begin()
    await flows.work(made="x" * 5000)
    await flows.work()
    await flows.ended(id)
    replayed = await flows.call("awf.workflow/replay", id=id, taskRunId=f"{id}-2", callId="once")
    new_id = replayed["resource"]["id"]
    again = await flows.call("awf.workflow/replay", id=id, taskRunId=f"{id}-2", callId="once")
    assert again["resource"]["id"] == new_id
    assert (await flows.work())["params"]["of"] == "x" * 5000
    await flows.ended(new_id, "SUCCESS")
    assert await flows.states(new_id) == ["one SUCCESS", "two SUCCESS"]
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.workflow/replay", id=id, taskRunId="other")
    assert refused.value.type == "cannot-replay"


@pytest.mark.parametrize("call", ["resume", "restart", "replay"])
async def test_a_workflow_that_decides_by_decisions_is_no_execution(flows: Flows, call: str) -> None:
    id = await flows.begin("test/plain")
    with pytest.raises(TaskRpcError) as refused:
        await flows.call(f"awf.workflow/{call}", id=id)
    assert refused.value.type == f"cannot-{call}"
    with pytest.raises(TaskRpcError, match="workflow-not-found"):
        await flows.call(f"awf.workflow/{call}", id="nobody")
    assert (await flows.call("awf.workflow/status", id=id, **{"include-task-runs?": True}))["taskRuns"] == []
