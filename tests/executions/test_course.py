"""Flows on a service: from their creation to their end."""

from typing import Any

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from tests.databases import Clock
from tests.engine.headless import Headless, headless
from tests.executions.flows import Flows, log, work
from tests.system.waiting import until


async def test_a_flow_runs_with_inputs_leaves_and_outputs(flows: Flows) -> None:
    await flows.put(
        log(message="hello {{ inputs.name }}"),
        work(of="{{ inputs.name }}"),
        inputs=[{"id": "name", "type": "STRING"}],
        outputs=[{"id": "made", "type": "STRING", "value": "{{ outputs.work.made }}"}],
    )
    id = await flows.begin(params={"name": "you"})
    task = await flows.work(made="tea")
    assert task["params"]["of"] == "you"
    assert task["params"]["$execution"]["taskRunId"] == f"{id}-2"
    assert task["label"] == "work/2/1"
    assert task["requester"] == {"id": id, "resourceType": "AidboxWorkflow", "taskRunId": f"{id}-2"}
    ended = await flows.ended(id)
    assert (ended["outcome"], ended["state"], ended["result"]) == ("succeeded", "SUCCESS", {"made": "tea"})


async def test_a_status_shows_task_runs_and_the_log(flows: Flows) -> None:
    each = {"id": "each", "type": "core.flow.ForEach", "values": ["a", "b"], "tasks": [work(allowFailure=True)]}
    await flows.put(each, log(message="end"))
    id = await flows.begin()
    await flows.work(made=1)
    await flows.fail(message="no tea")
    await flows.ended(id)
    status = await flows.call("awf.workflow/status", id=id, **{"include-task-runs?": True, "include-log?": True})
    each, first, second, end = status["taskRuns"]
    assert (each["taskId"], each["state"], end["state"]) == ("each", "WARNING", "SUCCESS")
    assert first["parentTaskRunId"] == each["id"] == f"{id}-1"
    assert (first["value"], first["iteration"], first["outputs"]) == ("a", 0, {"made": 1})
    assert (second["state"], second["error"]) == ("WARNING", {"message": "no tea"})
    assert [attempt["state"] for attempt in second["attempts"]] == ["FAILED"]
    assert second["startDate"] <= second["attempts"][0]["endDate"] <= second["endDate"]
    said = [entry["action-params"]["message"] for entry in status["log"] if entry["action"] == "awf.workflow/log"]
    assert said == ["no tea", "end"]


async def test_flows_see_those_variables_of_the_server_that_are_meant_for_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKRPC_ENV_REGION", "eu")
    monkeypatch.setenv("TASKRPC_LOG_RETENTION_DAYS", "7")
    async with headless(database_url) as server:
        flows = Flows(server)
        said = {"region": "{{ envs.region }}", "all": "{{ envs | length }}", "other": "{{ envs.path ?? 'not shown' }}"}
        await flows.put(log(), outputs=[{"id": id, "type": "STRING", "value": value} for id, value in said.items()])
        ended = await flows.ended(await flows.begin())
    assert ended["result"] == {"region": "eu", "all": "1", "other": "not shown"}


async def test_a_status_shows_labels_also_of_a_promise_that_was_not_kept(flows: Flows) -> None:
    sla = {
        "id": "never",
        "type": "EXECUTION_ASSERTION",
        "assert": "{{ false }}",
        "behavior": "NONE",
        "labels": {"sla": "missed"},
    }
    await flows.put(log(), labels={"team": "core"}, sla=[sla])
    id = await flows.begin()
    await flows.ended(id, "SUCCESS")
    status = await flows.call("awf.workflow/status", id=id, **{"include-task-runs?": True})
    assert status["labels"] == {"system.correlationId": id, "team": "core", "sla": "missed"}


async def test_a_failed_flow_says_why(flows: Flows) -> None:
    await flows.put(work())
    id = await flows.begin()
    await flows.fail(message="no tea")
    ended = await flows.ended(id)
    assert (ended["outcome"], ended["state"]) == ("failed", "FAILED")
    assert ended["outcomeReason"] == {"type": "awf.workflow/flow-failed", "message": "no tea"}
    assert ended["error"]["data"] == {"taskId": "work"}


async def test_a_leaf_of_a_flow_is_tried_again_by_its_flow_only(flows: Flows, clock: Clock) -> None:
    await flows.put(work(retry={"type": "constant", "interval": "PT1H", "maxAttempts": 2}))
    id = await flows.begin()
    failed = await flows.fail()
    await flows.reaches(id, "RETRYING")
    with pytest.raises(TaskRpcError) as refused:
        await flows.call("awf.task/retry", id=failed["id"])
    assert (refused.value.type, refused.value.message) == (
        "invalid-params",
        f"id: task {failed['id']} is tried again by its flow only; restart workflow {id}",
    )
    await clock.advance(3601)
    flows.server.parts.reaper.poke()
    again = await flows.work()
    assert again["id"] != failed["id"]
    assert again["label"] == "work/1/2"
    await flows.ended(id, "SUCCESS")


async def test_inputs_that_do_not_fit_are_refused_with_their_paths(flows: Flows) -> None:
    await flows.put(log(), inputs=[{"id": "n", "type": "INT"}, {"id": "name", "type": "STRING"}])
    with pytest.raises(TaskRpcError) as refused:
        await flows.begin(params={"n": "seven"})
    assert refused.value.type == "invalid-params"
    data: Any = refused.value.data
    assert [error["path"] for error in data["errors"]] == ["params.n", "params.name"]


async def test_a_disabled_flow_is_not_started(flows: Flows) -> None:
    await flows.put(log(), disabled=True)
    with pytest.raises(TaskRpcError, match="disabled") as refused:
        await flows.begin()
    assert refused.value.type == "cannot-start"


@pytest.mark.parametrize(("behavior", "state"), [("FAIL_EXECUTION", "FAILED"), ("CREATE_EXECUTION", "SUCCESS")])
async def test_a_check_that_does_not_hold_fails_the_execution_or_is_only_said(
    flows: Flows, behavior: str, state: str
) -> None:
    await flows.put(log(), checks=[{"condition": "{{ false }}", "message": "not now", "behavior": behavior}])
    await flows.ended(await flows.begin(), state)


async def test_a_check_may_forbid_the_start(flows: Flows) -> None:
    await flows.put(log(), checks=[{"condition": "{{ false }}", "message": "not now"}])
    with pytest.raises(TaskRpcError, match="not now"):
        await flows.begin()


async def test_a_flow_that_begins_later_begins_then(flows: Flows, clock: Clock) -> None:
    await flows.put(log())
    id = await flows.begin(executeAt="2999-01-01T00:00:00Z")
    assert (await flows.workflow(id))["state"] == "CREATED"
    await clock.move_to("2999-01-02T00:00:00")
    flows.server.parts.reaper.poke()
    await flows.ended(id, "SUCCESS")


async def test_a_canceled_leaf_kills_its_flow(flows: Flows) -> None:
    await flows.put(work(), log())
    id = await flows.begin()
    task = await flows.task()
    await flows.call("awf.task/cancel", id=task["id"])
    await flows.ended(id, "KILLED")
    assert await flows.states(id) == ["work KILLED"]


async def test_what_is_under_way_when_a_flow_ends_is_canceled(flows: Flows) -> None:
    fails = {"id": "fails", "type": "core.execution.Fail"}
    await flows.put({"id": "both", "type": "core.flow.Parallel", "tasks": [work(), fails]})
    id = await flows.begin()
    await flows.ended(id, "FAILED")

    async def work_is_canceled() -> bool:
        (task,) = (await flows.call("awf.task/list", filter={"includeDefinitions": ["company/work"]}))["resources"]
        return bool(task.get("outcome") == "canceled")

    await until(work_is_canceled)


async def test_a_task_that_cannot_be_started_fails_its_run(flows: Flows) -> None:
    await flows.call("awf.definition/put", id="company/work", params={"type": "object", "required": ["url"]})
    await flows.put(work(allowFailure=True), log())
    id = await flows.begin()
    await flows.ended(id, "WARNING")
    work_run, _ = await flows.runs(id)
    assert "url" in work_run["error"]["message"]


async def _begun_by_a_workflow(flows: Flows) -> str:
    """The id of a workflow that has started the flow."""
    id = await flows.begin("test/plain")
    (decision,) = (await flows.call("awf.task/long-poll", workflowDefinitions=["test/plain"], start=True))["resources"]
    request = {"definition": "company.team.flow"}
    action = {"action": "awf.workflow.action/schedule-workflow", "workflow-request": request}
    await flows.server.of("success", decision, result=action)
    return id


async def test_a_flow_is_one_of_the_activities_of_a_workflow(flows: Flows) -> None:
    await flows.put(log())
    await _begun_by_a_workflow(flows)
    (then,) = (await flows.call("awf.task/long-poll", workflowDefinitions=["test/plain"], start=True))["resources"]
    assert then["params"]["event"] == "awf.workflow.event/workflow-completed"
    assert (await flows.workflow(then["params"]["workflow-id"]))["state"] == "SUCCESS"


async def test_a_flow_is_killed_with_the_workflow_that_has_started_it(flows: Flows) -> None:
    await flows.put(work())
    id = await _begun_by_a_workflow(flows)
    await flows.call("awf.workflow/cancel", id=id)
    (flow,) = (await flows.call("awf.workflow/list", filter={"includeDefinitions": ["company.team.flow"]}))["resources"]
    assert (flow["status"], flow["outcome"], flow["state"]) == ("done", "canceled", "KILLED")


async def test_what_is_deleted_takes_its_runs_away(
    flows: Flows, observer: asyncpg.Connection, server: Headless
) -> None:
    await flows.put({"id": "each", "type": "core.flow.ForEach", "values": list("abcdef"), "tasks": [log()]})
    id = await flows.begin()
    await flows.ended(id)
    await observer.execute("update taskrpc.task set expire_at = taskrpc.now() where id = $1", id)
    await server.parts.cleaning.expire()
    for _ in range(3):
        await server.parts.cleaning.forget_runs()
    for table in ("execution", "execution_run", "execution_gone"):
        assert await observer.fetchval(f"select count(*) from taskrpc.{table}") == 0


async def test_a_directory_begins_anew_when_its_executor_is_lost(flows: Flows, clock: Clock) -> None:
    await flows.put({"id": "dir", "type": "core.flow.WorkingDirectory", "tasks": [work("in"), work("more")]})
    id = await flows.begin()
    directory = await flows.task("core.flow.WorkingDirectory")
    queue = f"working-directory:{id}-1"
    inside = await flows.work(queue)
    assert (inside["params"]["type"], directory["params"]["$execution"]["taskRunId"]) == ("company/work", f"{id}-1")
    lost = await flows.task(queue)
    await clock.advance(121)
    flows.server.parts.reaper.poke()
    await clock.advance(10)
    flows.server.parts.reaper.poke()
    again = await flows.task("core.flow.WorkingDirectory")
    assert again["id"] == directory["id"]
    first = await flows.work(queue)
    assert first["label"].startswith("in/")
    assert (await flows.server.status(lost))["status"] == "done"
    await flows.work(queue)
    end = await flows.work(queue)
    assert end["params"] == {"$end": True}
    await flows.server.of("success", again, result={"outputFiles": {}})
    await flows.ended(id, "SUCCESS")


async def test_subflows_and_short_timers_need_no_slow_poll(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = flows.server.parts.services.executions.loop
    monkeypatch.setattr(loop, "_insist", lambda id, first: None)  # what the slow poll finds is left
    await flows.put({"id": "nap", "type": "core.flow.Sleep", "duration": "PT0.05S"}, id="sub")
    sub = {"type": "core.flow.Subflow", "namespace": "company.team", "flowId": "sub"}
    await flows.put(*({"id": f"sub{n}", **sub} for n in range(3)))
    await flows.ended(await flows.begin(), "SUCCESS")
