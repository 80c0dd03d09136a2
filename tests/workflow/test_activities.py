"""Activities are ordinary tasks: they have limits, and can be canceled, stopped and retried; decisions cannot."""

import asyncio
from typing import Any

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import Clock
from tests.store.halting import HALT, go_on, halted
from tests.system.waiting import until
from tests.workflow.flows import DO_NOTHING, FLOW, STEP, Flows, complete, task


async def _started(flows: Flows, **definition: Any) -> tuple[str, Any]:
    """A workflow with one activity that runs."""
    await flows.call("awf.definition/put", id=STEP, **definition)
    workflow_id = await flows.begin()
    await flows.decide(task())
    return workflow_id, await flows.step()


async def _heard(flows: Flows, step: Any) -> Any:
    """The decision after the activity's end."""
    decision = await flows.decision()
    assert decision["params"] == {"event": "awf.workflow.event/task-completed", "task-id": step["id"]}
    return decision


async def test_a_workflow_hears_of_an_activity_that_failed_only_when_no_attempt_is_left(
    flows: Flows, clock: Clock
) -> None:
    _, step = await _started(flows, allowedRetryCount=2, retryDelay=1_000)
    await flows.server.of("fail", step)
    assert await flows.at_hand() == []
    await clock.advance(1)
    flows.server.parts.reaper.poke()
    step = await flows.step()
    assert await flows.at_hand() == []
    await flows.server.of("fail", step)
    await _heard(flows, step)


@pytest.mark.parametrize("limits", [{}, {"concurrencyLimit": 1, "queueLimit": 1}], ids=["free", "limited"])
@pytest.mark.parametrize("way", ["success", "fail", "cancel", "stop", "release", "timeout", "drop"])
async def test_a_workflow_hears_of_an_activity_however_it_ends(
    flows: Flows, clock: Clock, way: str, limits: dict[str, int]
) -> None:
    times = {"allowedRetryCount": 1, "inProgressTimeout": 1_000} | ({"timeout": 1_000} if way == "drop" else {})
    _, step = await _started(flows, **times, **limits)
    if way in ("success", "fail"):
        await flows.server.of(way, step)
    elif way == "release":
        await flows.call("awf.task/stop", id=step["id"])
        await flows.server.of("release", step)
    elif way in ("timeout", "drop"):
        await clock.advance(1.1)
        flows.server.parts.reaper.poke()
    elif way == "stop":
        await flows.server.of("release", step)
        await flows.call("awf.task/stop", id=step["id"])
    else:
        await flows.call("awf.task/cancel", id=step["id"])
    await _heard(flows, step)


async def test_a_retried_activity_is_heard_of_again(flows: Flows) -> None:
    workflow_id, step = await _started(flows, allowedRetryCount=1)
    await flows.server.of("fail", step)
    decision = await _heard(flows, step)
    await flows.call("awf.task/retry", id=step["id"])
    await flows.succeed(decision, DO_NOTHING)
    assert (await flows.workflow(workflow_id))["status"] == "in-progress"
    await flows.succeed(await flows.step())
    await flows.succeed(await _heard(flows, step), complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"


@pytest.mark.parametrize("limits", [{}, {"concurrencyLimit": 1}], ids=["free", "limited"])
async def test_an_activity_of_a_done_workflow_is_not_retried(flows: Flows, limits: dict[str, int]) -> None:
    workflow_id, step = await _started(flows, **limits)
    await flows.call("awf.workflow/cancel", id=workflow_id)
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.task/retry", id=step["id"])
    assert refused.value.type == "workflow-has-been-done"
    assert refused.value.data == {"workflow": workflow_id}
    assert await flows.outcome(step) == ("done", "canceled")


async def test_an_activity_of_a_deleted_workflow_is_not_retried(flows: Flows, observer: asyncpg.Connection) -> None:
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", retention=0)
    workflow_id, step = await _started(flows, allowedRetryCount=1)
    await flows.server.of("fail", step)
    await flows.succeed(await _heard(flows, step), complete())

    async def deleted() -> bool:
        return not await observer.fetchval("select count(*) from taskrpc.task where id = $1", workflow_id)

    await until(deleted)
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.task/retry", id=step["id"])
    assert refused.value.type == "workflow-has-been-done"
    assert await flows.outcome(step) == ("done", "failed")


async def test_nobody_but_the_server_makes_decisions(flows: Flows) -> None:
    name = "awf.workflow/decision-task"
    for kind in ("task", "workflow"):
        with pytest.raises(TaskRpcError, match=r"definition: awf.workflow/decision-task is what the server makes"):
            await flows.call(f"awf.{kind}/create-and-execute", definition=name)
    await flows.begin()
    with pytest.raises(TaskRpcError, match=r"result.task-request.definition: awf.workflow/decision-task is what"):
        await flows.succeed(await flows.decision(), task(definition=name))


async def test_a_retry_and_the_end_of_its_workflow_at_once_leave_nothing_open(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    workflow_id, step = await _started(flows, allowedRetryCount=1)
    await flows.server.of("fail", step)
    decision = await _heard(flows, step)
    await observer.execute(HALT.replace("for each row", "for each row when (new.call = 'retry')"))
    retrying = asyncio.ensure_future(flows.call("awf.task/retry", id=step["id"]))
    await halted(observer)
    ending = asyncio.ensure_future(flows.succeed(decision, complete()))
    await go_on(observer)
    assert (await retrying)["resource"]["status"] == "ready"
    await ending
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"
    await flows.canceled(step)


async def test_an_activity_is_not_retried_while_its_workflow_ends(flows: Flows, observer: asyncpg.Connection) -> None:
    workflow_id, step = await _started(flows, allowedRetryCount=1)
    await flows.server.of("fail", step)
    decision = await _heard(flows, step)
    await observer.execute(HALT.replace("for each row", "for each row when (new.kind = 'workflow')"))
    ending = asyncio.ensure_future(flows.succeed(decision, complete()))
    await halted(observer)
    retrying = asyncio.ensure_future(flows.call("awf.task/retry", id=step["id"]))
    await go_on(observer)
    with pytest.raises(TaskRpcError) as refused:
        await retrying
    assert refused.value.type == "workflow-has-been-done"
    await ending
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"


async def test_decisions_are_neither_canceled_nor_stopped_nor_retried(flows: Flows) -> None:
    await flows.call("awf.definition/put", id="test/flow", kind="workflow", allowedRetryCount=1)
    workflow_id = await flows.begin()
    decision = await flows.decision()
    for method in ("cancel", "stop"):
        with pytest.raises(TaskRpcError) as refused:
            await flows.call(f"awf.task/{method}", id=decision["id"])
        assert refused.value.type == "invalid-params"
        assert refused.value.message == (
            f"id: task {decision['id']} is a decision of workflow {workflow_id}; {method} is not for decisions, cancel "
            "the workflow"
        )
    await flows.server.of("fail", decision)
    await flows.ended(workflow_id)
    with pytest.raises(TaskRpcError, match="retry is not for decisions"):
        await flows.call("awf.task/retry", id=decision["id"])


async def test_a_decision_is_handed_back_at_no_cost(flows: Flows) -> None:
    await flows.begin()
    decision = await flows.decision()
    await flows.server.of("release", decision)
    again = await flows.decision()
    assert (again["id"], again["retryCount"]) == (decision["id"], 1)


async def test_a_limit_holds_for_activities_and_a_full_queue_does_not_refuse_them(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    await flows.call("awf.definition/put", id=STEP, concurrencyLimit=2, queueLimit=1)
    workflow_id = await flows.begin()
    await flows.decide(*(task(n=n) for n in range(5)))
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await flows.server.create(STEP)
    running: list[Any] = []
    for left in range(5, 0, -1):
        running += await flows.server.poll(STEP, maxBatchSize=10, start=True)
        assert len(running) == min(2, left)
        await flows.succeed(running.pop())
        await flows.decide(DO_NOTHING if left > 1 else complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"
    assert await observer.fetchval("select sum(used) from taskrpc.gate") == 0
    await flows.server.create(STEP)


@pytest.mark.parametrize("limit", [{"concurrencyLimit": 1}, {"queueLimit": 1}, {"concurrencyPath": ["params"]}])
async def test_a_workflow_itself_has_no_limits(flows: Flows, limit: Any) -> None:
    with pytest.raises(TaskRpcError, match="a workflow has no limit; give it to the definitions of the tasks"):
        await flows.call("awf.definition/put", id="test/flow", kind="workflow", **limit)


async def test_more_activities_than_fit_into_an_answer_are_refused(flows: Flows, observer: asyncpg.Connection) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task())
    await observer.execute("update taskrpc.task set bytes = 40000000 where kind = 'task'")
    with pytest.raises(TaskRpcError, match=r"include-activities\?: 1 resources would be more than 32 MiB"):
        await flows.status(workflow_id)
