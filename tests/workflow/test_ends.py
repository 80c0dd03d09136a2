"""How workflows end: by what a decision says, by a decision that fails, by time, and when nothing is left to do."""

from typing import Any

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.inboxes import turn_events
from tests.databases import Clock
from tests.engine.headless import Headless, headless
from tests.workflow.flows import DO_NOTHING, FLOW, SUB, Flows, complete, fail, reap, task, workflow

FAILED = {"type": "awf.workflow/failed-by-executor", "message": "Failed by executor"}


async def test_a_workflow_fails_with_the_error_of_a_decision(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(fail({"why": "no money"}))
    ended = await flows.ended(workflow_id)
    assert (ended["outcome"], ended["error"], ended["outcomeReason"]) == ("failed", {"why": "no money"}, FAILED)
    assert "result" not in ended


async def test_an_unknown_error_is_a_reason_of_its_own(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide({"action": "awf.workflow.action/unknown-error", "error": "?"})
    ended = await flows.ended(workflow_id)
    assert ended["outcomeReason"] == {"type": "awf.executor/unknown-error", "message": "Unknown error"}
    assert (ended["outcome"], ended["error"]) == ("failed", "?")


@pytest.mark.parametrize("end", [complete(), fail()], ids=["complete", "fail"])
async def test_what_a_done_workflow_has_started_is_canceled(flows: Flows, end: object) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("running"), task("ready"), workflow("below"), task("done"))
    running, _ready, done = [await flows.step() for _ in range(3)]
    await flows.decide(task("deep"), definition=SUB)
    await flows.succeed(done)
    await flows.decide(end)
    await flows.ended(workflow_id)

    await flows.canceled(running)
    activities = (await flows.status(workflow_id))["activities"]
    outcomes = {activity["label"]: activity["outcome"] for activity in activities}
    assert outcomes == {"running": "canceled", "ready": "canceled", "below": "canceled", "done": "succeeded"}
    below = await flows.status(activities[2]["id"])
    assert [each["outcome"] for each in below["activities"]] == ["canceled"]
    with pytest.raises(TaskRpcError, match="wrong-status") as refused:
        await flows.succeed(running)
    assert refused.value.data == {"status": "done", "outcome": "canceled"}
    assert await flows.at_hand(FLOW, SUB) == []


@pytest.mark.parametrize("nothing", [[], DO_NOTHING, None])
async def test_a_workflow_in_which_nothing_can_happen_any_more_fails(flows: Flows, nothing: object) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task())
    await flows.succeed(await flows.step())
    await flows.succeed(await flows.decision(), nothing)
    ended = await flows.ended(workflow_id)
    assert (ended["outcome"], ended["outcomeReason"]["type"]) == ("failed", "awf.workflow/nothing-left-to-do")


async def test_a_label_that_is_taken_by_something_done_leaves_nothing_to_do(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("once"))
    await flows.succeed(await flows.step())
    await flows.decide(task("once"))
    assert (await flows.ended(workflow_id))["outcomeReason"]["type"] == "awf.workflow/nothing-left-to-do"


async def test_events_that_wait_are_something_left_to_do(flows: Flows) -> None:
    workflow_id = await flows.begin()
    await flows.decide(task("one"), task("two"))
    for step in [await flows.step(), await flows.step()]:
        await flows.succeed(step)
    await flows.decide(DO_NOTHING)
    await flows.decide(complete())
    assert (await flows.ended(workflow_id))["outcome"] == "succeeded"


async def test_what_ends_while_a_decision_is_made_is_something_left_to_do(
    still: Headless, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with headless(database_url, loops=False) as other:
        here, there = Flows(still), Flows(other)
        workflow_id = await here.begin()
        await here.decide(task(), task())
        first, second = [await here.step() for _ in range(2)]
        await here.succeed(first)
        decision = await here.decision()

        async def turn_and_let_the_second_end(*arguments: Any) -> Any:
            turned = await turn_events(*arguments)
            await there.succeed(second)
            return turned

        monkeypatch.setattr("taskrpc.store.decisions.turn_events", turn_and_let_the_second_end)
        await here.succeed(decision)
        assert (await there.decision())["params"]["task-id"] == second["id"]
        assert (await here.workflow(workflow_id))["status"] == "in-progress"


async def test_a_parent_learns_how_its_workflow_ended(flows: Flows) -> None:
    await flows.begin()
    decision = await flows.decide(workflow("below"))
    await flows.decide(fail("no"), definition=SUB)
    completed = await flows.decision()
    below = await flows.workflow(completed["params"]["workflow-id"])
    assert (below["outcome"], below["error"]) == ("failed", "no")
    assert completed["requester"] == decision["requester"]


async def test_decisions_are_tried_ten_times_a_second_apart_and_then_fail_their_workflow(
    flows: Flows, clock: Clock
) -> None:
    workflow_id = await flows.begin()
    for attempt in range(1, 11):
        decision = await flows.decision()
        assert decision["retryCount"] == attempt
        after = await flows.server.of("fail", decision, error={"attempt": attempt})
        if attempt < 10:
            assert after["status"] == "waiting"
            await clock.advance(1)
            flows.server.parts.reaper.poke()
    assert (after["status"], after["outcome"]) == ("done", "failed")
    ended = await flows.ended(workflow_id)
    assert (ended["outcome"], ended["outcomeReason"]) == (
        "failed",
        {
            "type": "awf.workflow/failed-by-executor",
            "message": "A decision failed for good: Failed by executor",
            "data": {"decision": decision["id"], "error": {"attempt": 10}},
        },
    )


async def test_the_attempts_and_times_of_decisions_are_those_of_the_definition(flows: Flows, clock: Clock) -> None:
    times = {"allowedRetryCount": 1, "inProgressTimeout": 5_000, "requestedToStartTimeout": 1_000}
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", **times)
    workflow_id = await flows.begin()
    (forgotten,) = await flows.at_hand()
    await clock.advance(1.1)
    flows.server.parts.reaper.poke()
    decision = await flows.decision()
    assert decision["id"] == forgotten["id"]
    assert decision["inProgressTimeout"] == 5_000
    await clock.advance(5.1)
    flows.server.parts.reaper.poke()
    ended = await flows.ended(workflow_id)
    assert ended["outcomeReason"]["type"] == "awf.task/failed-due-to-in-progress-timeout"


async def test_a_decision_that_fails_for_good_comes_before_all_that_happened_meanwhile(flows: Flows) -> None:
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", allowedRetryCount=1)
    workflow_id = await flows.begin()
    await flows.decide(task("one"), task("two"), task("three"))
    steps = [await flows.step() for _ in range(3)]
    await flows.succeed(steps[0])
    decision = await flows.decision()
    await flows.succeed(steps[1])
    await flows.server.of("fail", decision)
    assert (await flows.ended(workflow_id))["outcome"] == "failed"
    assert await flows.at_hand() == []
    await flows.canceled(steps[2])


async def test_a_failed_attempt_of_a_decision_changes_nothing(flows: Flows, clock: Clock) -> None:
    workflow_id = await flows.begin()
    decision = await flows.decision()
    await flows.server.of("fail", decision, error="not now")
    assert (await flows.status(workflow_id))["activities"] == []
    await clock.advance(1)
    flows.server.parts.reaper.poke()
    again = await flows.decision()
    assert (again["id"], again["params"], again["retryCount"]) == (decision["id"], decision["params"], 2)


async def test_the_schema_of_errors_is_for_the_workflow_and_not_for_its_decisions(flows: Flows) -> None:
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", error={"type": "object"}, allowedRetryCount=1)
    workflow_id = await flows.begin()
    await flows.server.of("fail", await flows.decision(), error="a text")
    assert (await flows.ended(workflow_id))["outcomeReason"]["data"]["error"] == "a text"


async def test_the_timeout_of_a_definition_drops_its_workflows_with_all_that_they_started(
    flows: Flows, clock: Clock
) -> None:
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", timeout=60_000)
    workflow_id = await flows.begin()
    await flows.begin(executeAt="2999-01-01T00:00:00Z", id="later")
    await flows.decide(task())
    step = await flows.step()
    await clock.advance(61)
    flows.server.parts.reaper.poke()
    for dropped in (workflow_id, "later"):
        ended = await flows.ended(dropped)
        assert (ended["outcome"], ended["outcomeReason"]["type"]) == ("failed", "awf.task/dropped")
    await flows.canceled(step)


async def test_done_workflows_are_kept_as_long_as_their_definition_says(still: Headless, clock: Clock) -> None:
    flows = Flows(still)
    await flows.call("awf.definition/put", id=FLOW, kind="workflow", retention=10_000)
    workflow_id = await flows.begin()
    await flows.decide(complete())
    await clock.advance(9)
    await reap(still)
    assert len((await flows.status(workflow_id))["decisions"]) == 1
    await clock.advance(2)
    await reap(still)
    with pytest.raises(TaskRpcError, match="workflow-not-found"):
        await flows.status(workflow_id)


async def test_nothing_of_a_workflow_is_deleted_before_it_is_done(still: Headless, clock: Clock) -> None:
    flows = Flows(still)
    await flows.call("awf.definition/put", id="test/step", retention=1_000)
    workflow_id = await flows.begin()
    await flows.decide(task("short"), task("long"))
    await flows.succeed(await flows.step())
    await clock.advance(100)
    await reap(still)
    assert len((await flows.status(workflow_id))["activities"]) == 2
    await flows.succeed(await flows.step())
    await flows.decide(complete())
    await clock.advance(2)
    await reap(still)
    assert [each["label"] for each in (await flows.status(workflow_id))["activities"]] == ["short"]
    await clock.advance(3_600)
    await reap(still)
    assert (await flows.status(workflow_id))["activities"] == []
