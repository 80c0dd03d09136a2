"""The actions of a decision take effect together with its success, or not at all."""

import asyncio
from typing import Any

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.engine.headless import Headless, headless
from tests.workflow.flows import FLOW, STEP, SUB, Flows, complete, task, workflow


async def _refused(flows: Flows, decision: Any, result: object) -> Any:
    """The mistakes of a result that is refused."""
    with pytest.raises(TaskRpcError) as refused:
        await flows.succeed(decision, result)
    assert refused.value.type == "invalid-params"
    assert refused.value.data is not None
    return refused.value.data["errors"]


async def test_a_bad_list_changes_nothing_and_the_decision_can_still_be_made(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    workflow_id = await flows.begin()
    decision = await flows.decision()
    rows = await observer.fetch("select * from taskrpc.task order by id")
    mistakes = await _refused(flows, decision, [task("good"), {"action": "awf.workflow.action/dance"}, {"action": 1}])
    assert [mistake["path"] for mistake in mistakes] == ["result.1.action", "result.2.action"]
    assert await observer.fetch("select * from taskrpc.task order by id") == rows
    await flows.succeed(decision, [task("good")])
    assert [each["label"] for each in (await flows.status(workflow_id))["activities"]] == ["good"]


async def test_params_that_do_not_fit_their_definitions_are_all_told(flows: Flows) -> None:
    needs = {"type": "object", "required": ["url"]}
    await flows.call("awf.definition/put", id=STEP, params=needs)
    await flows.call("awf.definition/put", id=SUB, kind="workflow", params=needs)
    workflow_id = await flows.begin()
    decision = await flows.decision()
    mistakes = await _refused(
        flows, decision, [task(), task(url="u"), {**workflow(), "task-request": {"definition": SUB}}]
    )
    assert mistakes == [
        {"path": "result.0.task-request.params", "message": '"url" is a required property'},
        {"path": "result.2.task-request.params", "message": '"url" is a required property'},
    ]
    assert (await flows.status(workflow_id))["activities"] == []


async def test_defaults_of_a_definition_are_filled_in(flows: Flows) -> None:
    schema = {"properties": {"size": {"default": 7}}}
    await flows.call("awf.definition/put", id=STEP, params=schema, priority=3)
    await flows.begin()
    await flows.decide(task(of="x"))
    step = await flows.step()
    assert (step["params"], step["priority"]) == ({"of": "x", "size": 7}, 3)


async def test_tasks_and_workflows_are_not_taken_for_each_other(flows: Flows) -> None:
    await flows.call("awf.definition/put", id=STEP)
    await flows.call("awf.definition/put", id=SUB, kind="workflow")
    await flows.begin()
    decision = await flows.decision()
    mistakes = await _refused(flows, decision, [task(definition=SUB), workflow(definition=STEP)])
    assert mistakes == [
        {"path": "result.0.task-request.definition", "message": f"{SUB} is defined as a workflow, not as a task"},
        {"path": "result.1.task-request.definition", "message": f"{STEP} is defined as a task, not as a workflow"},
    ]
    with pytest.raises(TaskRpcError, match="definition: test/sub is defined as a workflow"):
        await flows.server.create(SUB)
    with pytest.raises(TaskRpcError, match="definition: test/step is defined as a task"):
        await flows.begin(STEP)


async def test_where_only_defined_tasks_are_allowed_others_cannot_be_started(database_url: str) -> None:
    async with headless(database_url, strict_definitions=True) as server:
        flows = Flows(server)
        await flows.call("awf.definition/put", id=FLOW, kind="workflow")
        await flows.begin()
        mistakes = await _refused(flows, await flows.decision(), [task()])
        assert mistakes == [
            {"path": "result.0.task-request.definition", "message": "There is no definition 'test/step'"}
        ]


async def test_the_result_of_a_workflow_is_checked_against_its_own_definition(flows: Flows) -> None:
    schema = {"type": "object", "required": ["total"], "properties": {"currency": {"default": "EUR"}}}
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", result=schema, error={"type": "string"})
    workflow_id = await flows.begin()
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", result={"type": "integer"})
    decision = await flows.decision()
    assert await _refused(flows, decision, [complete({})]) == [
        {"path": "result.0.result", "message": '"total" is a required property'}
    ]
    refused = await _refused(flows, decision, {"action": "awf.workflow.action/fail", "error": 7})
    assert refused == [{"path": "result.error", "message": '7 is not of type "string"'}]
    await flows.succeed(decision, complete({"total": 3}))
    assert (await flows.ended(workflow_id))["result"] == {"total": 3, "currency": "EUR"}


async def test_a_definition_that_changes_elsewhere_meanwhile_is_read_again(server: Headless, database_url: str) -> None:
    async with headless(database_url, notify=False) as other:
        here, there = Flows(server), Flows(other)
        await there.call("awf.definition/put", id=STEP, params={"required": ["url"]})
        await here.server.parts.definitions.reload()
        await there.call("awf.definition/put", id=STEP, params={"properties": {"new": {"default": 1}}})
        await here.begin()
        await here.decide(task())
        assert (await here.step())["params"] == {"new": 1}
        await there.call("awf.definition/put", id=STEP, params={"properties": {"newer": {"default": 2}}})
        await here.begin()
        await here.decide(task())
        assert (await here.step())["params"] == {"newer": 2}


async def test_a_success_that_is_sent_again_starts_nothing_twice(flows: Flows) -> None:
    workflow_id = await flows.begin()
    decision = await flows.decision()
    call = {"id": decision["id"], "execId": decision["execId"], "result": [task(), task()]}
    answers = await asyncio.gather(*(flows.call("awf.task/success", **call, callId="c") for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert await flows.call("awf.task/success", **call) == answers[0]
    assert len((await flows.status(workflow_id))["activities"]) == 2
    with pytest.raises(TaskRpcError, match="wrong-status"):
        await flows.call("awf.task/success", **call, callId="another")


async def test_a_stale_execution_decides_nothing(flows: Flows) -> None:
    workflow_id = await flows.begin()
    decision = await flows.decision()
    with pytest.raises(TaskRpcError, match="stale-exec-id"):
        await flows.succeed({**decision, "execId": "another"}, [task()])
    await flows.server.of("release", decision)
    with pytest.raises(TaskRpcError, match="stale-exec-id"):
        await flows.succeed(decision, [task()])
    (requested,) = await flows.at_hand()
    with pytest.raises(TaskRpcError, match="wrong-status"):
        await flows.succeed(requested, [task()])
    assert (await flows.status(workflow_id))["activities"] == []


async def test_one_bad_decision_does_not_hold_up_those_beside_it(flows: Flows) -> None:
    ids = [await flows.begin() for _ in range(10)]
    decisions = [await flows.decision() for _ in ids]
    answers = await asyncio.gather(
        *(flows.succeed(each, [task(), {"action": "x"} if n == 5 else task()]) for n, each in enumerate(decisions)),
        return_exceptions=True,
    )
    assert [isinstance(answer, TaskRpcError) for answer in answers] == [n == 5 for n in range(10)]
    assert len(await flows.server.poll(STEP, maxBatchSize=100)) == 18


async def test_an_execution_that_brings_the_next_poll_gets_the_next_decision(flows: Flows) -> None:
    await flows.begin()
    await flows.decide(task("one"), task("two"))
    first, second = [await flows.step() for _ in range(2)]
    await flows.succeed(first)
    await flows.succeed(second)
    decision = await flows.decision()
    params = {"id": decision["id"], "execId": decision["execId"], "poll": {"workflowDefinitions": [FLOW]}}
    following = (await flows.call("awf.task/success", **params))["resources"]
    assert [each["params"]["task-id"] for each in following] == [second["id"]]
