"""The course of a workflow: one decision after the other, in the order of the events."""

import asyncio

import asyncpg
import pytest

from taskrpc.engine.reading import Page
from tests.databases import Clock
from tests.workflow.flows import DO_NOTHING, FLOW, SUB, Flows, complete, task, workflow


async def test_a_workflow_is_decided_step_by_step(flows: Flows) -> None:
    workflow_id = await flows.begin(params={"n": 1})
    requester = {"id": workflow_id, "resourceType": "AidboxWorkflow"}
    first = await flows.decide(task("one", x=1))
    assert (first["definition"], first["workflow-definition"]) == ("awf.workflow/decision-task", FLOW)
    assert (first["params"], first["requester"]) == ({"event": "awf.workflow.event/workflow-init"}, requester)
    step = await flows.step()
    assert (step["label"], step["params"], step["requester"]) == ("one", {"x": 1}, requester)
    await flows.succeed(step, {"y": 2})
    second = await flows.decide(complete({"z": 3}))
    assert second["params"] == {"event": "awf.workflow.event/task-completed", "task-id": step["id"]}
    assert second["requester"] == requester
    ended = await flows.ended(workflow_id)
    assert (ended["outcome"], ended["result"], ended["params"]) == ("succeeded", {"z": 3}, {"n": 1})
    status = await flows.status(workflow_id)
    assert [activity["id"] for activity in status["activities"]] == [step["id"]]
    assert [decision["id"] for decision in status["decisions"]] == [first["id"], second["id"]]
    assert status["decisions"][1]["result"] == [complete({"z": 3})]


async def test_a_new_workflow_is_in_progress_and_its_first_decision_can_be_polled_at_once(flows: Flows) -> None:
    created = (await flows.call("awf.workflow/create-and-execute", definition=FLOW, id="w", label="L"))["resource"]
    assert created.pop("meta").keys() == {"createdAt", "lastUpdated", "versionId"}
    assert created == {
        "id": "w",
        "resourceType": "AidboxWorkflow",
        "definition": FLOW,
        "label": "L",
        "status": "in-progress",
    }
    assert len(await flows.at_hand()) == 1


async def test_a_workflow_that_begins_later_is_created_until_then(flows: Flows, clock: Clock) -> None:
    begins = {"definition": FLOW, "executeAt": "2999-01-01T00:00:00Z"}
    created = (await flows.call("awf.workflow/create-and-execute", **begins))["resource"]
    assert (created["status"], created["executeAt"]) == ("created", "2999-01-01T00:00:00.000000Z")
    assert await flows.at_hand() == []
    await clock.advance(1000 * 365.25 * 86400)
    flows.server.parts.reaper.poke()
    assert (await flows.decision())["params"] == {"event": "awf.workflow.event/workflow-init"}
    assert (await flows.workflow(created["id"]))["status"] == "in-progress"


async def test_decisions_come_one_at_a_time_in_the_order_of_the_events(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(*(task(n=n) for n in range(20)))
    steps = [await flows.step() for _ in range(20)]
    assert [step["params"]["n"] for step in steps] == list(range(20))
    for step in reversed(steps):
        await flows.succeed(step)
    for step in reversed(steps):
        decision = await flows.decision()
        assert decision["params"]["task-id"] == step["id"]
        assert await flows.at_hand() == []
        await flows.succeed(decision, [DO_NOTHING] if step is not steps[0] else complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"


async def test_events_of_many_workflows_do_not_mix(flows: Flows) -> None:
    ids = [await flows.begin(params={"n": n}) for n in range(20)]
    decisions = [await flows.decision() for _ in ids]
    assert {decision["requester"]["id"] for decision in decisions} == set(ids)
    await asyncio.gather(*(flows.succeed(each, [task(of=each["requester"]["id"])]) for each in decisions))
    steps = [await flows.step() for _ in ids]
    await asyncio.gather(*(flows.succeed(step) for step in steps))
    of_step = {step["id"]: step["params"]["of"] for step in steps}
    for decision in [await flows.decision() for _ in ids]:
        assert of_step[decision["params"]["task-id"]] == decision["requester"]["id"]


@pytest.mark.parametrize("nothing", [None, [], DO_NOTHING, [DO_NOTHING, DO_NOTHING]])
async def test_a_decision_may_do_nothing_while_something_is_left(flows: Flows, nothing: object) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("one"), task("two"))
    await flows.succeed(await flows.step())
    await flows.succeed(await flows.decision(), nothing)
    assert (await flows.workflow(workflow_id))["status"] == "in-progress"
    await flows.succeed(await flows.step())
    await flows.decide(complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"


async def test_one_action_need_not_be_a_list(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.succeed(await flows.decision(), task())
    await flows.succeed(await flows.step())
    await flows.succeed(await flows.decision(), complete(7))
    assert (await flows.ended(workflow_id))["result"] == 7


async def test_the_same_label_starts_nothing_again(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("one", n=1), task("one", n=2), workflow("two"), task("two"), task(), task())
    await flows.succeed(await flows.step())
    await flows.decide(task("one", n=3), workflow("two"), task("three"))
    activities = (await flows.status(workflow_id))["activities"]
    assert [activity.get("label") for activity in activities] == ["one", "two", None, None, "three"]
    assert activities[0]["params"] == {"n": 1}
    assert activities[1]["resourceType"] == "AidboxWorkflow"


async def test_a_label_is_unique_in_its_own_workflow_only(flows: Flows) -> None:
    for _ in range(2):
        await flows.begin()
        await flows.decide(task("one"))
    await flows.server.create("test/step", label="one")
    assert len(await flows.server.poll("test/step", maxBatchSize=10)) == 3


async def test_a_workflow_of_workflows_goes_down_to_any_depth_and_back(flows: Flows) -> None:
    root = await flows.begin(SUB, params={"depth": 0})
    ids = [root]
    for depth in range(1, 6):
        decision = await flows.decide(workflow("next", depth=depth), definition=SUB)
        (below,) = (await flows.status(decision["requester"]["id"]))["activities"]
        assert (below["resourceType"], below["status"], below["params"]) == (
            "AidboxWorkflow", "in-progress", {"depth": depth},
        )  # fmt: skip
        assert below["requester"] == decision["requester"]
        ids.append(below["id"])
    await flows.decide(complete(5), definition=SUB)
    for depth in range(4, -1, -1):
        decision = await flows.decide(complete(depth), definition=SUB)
        assert decision["requester"]["id"] == ids[depth]
        assert decision["params"] == {
            "event": "awf.workflow.event/workflow-completed",
            "workflow-id": ids[depth + 1],
        }
    assert (await flows.ended(root))["result"] == 0


async def test_decisions_have_the_priority_of_their_definition(flows: Flows) -> None:
    await flows.call("awf.definition/put", id=SUB, kind="workflow", priority=5)
    await flows.begin(FLOW)
    await flows.begin(SUB)
    polled = await flows.at_hand(FLOW, SUB)
    assert [(each["workflow-definition"], each.get("priority")) for each in polled] == [(SUB, 5), (FLOW, None)]


async def test_nothing_is_left_in_the_inbox_of_a_workflow_that_is_done(
    flows: Flows, observer: asyncpg.Connection
) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("one"), task("two"))
    for step in [await flows.step(), await flows.step()]:
        await flows.succeed(step)
    await flows.decide(complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"
    assert await observer.fetchval("select count(*) from taskrpc.event") == 0
    assert await flows.at_hand() == []


async def test_the_log_tells_the_course(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(complete())
    await flows.ended(workflow_id)
    (decision,) = (await flows.status(workflow_id))["decisions"]
    entries, _ = await flows.server.parts.services.reading.log(
        (("subject.id", workflow_id),), Page(100, descending=False)
    )
    assert [(entry["action"], entry["status-before"], entry["status-after"]) for entry in entries] == [
        ("awf.workflow/create-and-execute", "created", "in-progress"),
        ("awf.workflow.action/complete-workflow", "in-progress", "done"),
    ]
    assert all(entry["subject"] == {"id": workflow_id, "resourceType": "AidboxWorkflow"} for entry in entries)
    log = (await flows.call("awf.task/status", id=decision["id"], **{"include-log?": True}))["log"]
    assert [entry["action"] for entry in log] == [
        "awf.task/create-and-execute",
        "awf.task/poll",
        "awf.task/success",
    ]
