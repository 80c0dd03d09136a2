"""Functions that decide about workflows: what they are told, what they may want, and the checkout that ships."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from taskrpc_executors import checkout
from taskrpc_executors.checkout import CHECKOUT, DEFINITIONS, Shop

from taskrpc import AsyncClient, Client, Executor, Task, Workflow
from tests.executor.conftest import DEADLINE, serving

FLOW = "test/flow"
STEP = "test/step"


async def begin(client: AsyncClient, params: Any = None, definition: str = FLOW) -> str:
    """The id of a new workflow."""
    created = await client.workflow_create_and_execute(definition, params)
    workflow_id: str = created["resource"]["id"]
    return workflow_id


async def ended(client: AsyncClient, workflow_id: str) -> dict[str, Any]:
    """The workflow when it is done."""
    answer = await client.workflow_result(workflow_id, timeout=int(DEADLINE * 1000))
    resource: dict[str, Any] = answer["resource"]
    assert resource["status"] == "done", resource
    return resource


def both_kinds(decide: Callable[[Workflow], Any]) -> pytest.MarkDecorator:
    """Run a test with `decide` as a sync and as an async function."""

    async def decide_async(workflow: Workflow) -> Any:
        return decide(workflow)

    return pytest.mark.parametrize("decide", [decide, decide_async], ids=["sync", "async"])


def serial(workflow: Workflow) -> None:
    total = 0
    for n in range(3):
        step = workflow.execute(STEP, {"n": n}, f"step {n}")
        if not step.done:
            return
        total += step.result
    workflow.complete({"total": total})


@both_kinds(serial)
async def test_a_function_that_starts_from_the_first_step_each_time_does_each_once(
    url: str, client: AsyncClient, decide: Any
) -> None:
    executor, seen = Executor(url), []
    executor.workflow(FLOW)(decide)

    @executor.task(STEP)
    def step(task: Task) -> int:
        seen.append(task.params["n"])
        return int(task.params["n"]) * 10

    async with serving(executor):
        resource = await ended(client, await begin(client))
    assert (resource["outcome"], resource["result"], seen) == ("succeeded", {"total": 30}, [0, 1, 2])


async def test_a_workflow_waits_for_what_the_server_does(url: str, client: AsyncClient) -> None:
    executor = Executor(url)

    @executor.workflow(FLOW)
    def decide(workflow: Workflow) -> None:
        selection = [{"get-in": ["id"], "comparator": "eq", "value": "parcel"}]
        arrival = workflow.execute("awf.task/subscribe", {"select-by": selection}, "arrival")
        deadline = workflow.execute("awf.task/wait", {"duration": {"hours": 1}}, "deadline")
        pause = workflow.execute("awf.task/wait", {"duration": {"seconds": 0}}, "pause")
        if arrival.succeeded:
            workflow.complete({"weight": arrival.result["resource"]["weight"], "in time": not deadline.done})
        elif pause.succeeded:
            workflow.execute(STEP, label="call the carrier")

    @executor.task(STEP)
    async def step(task: Task) -> None:
        await client.publish({"id": "parcel", "weight": 3})

    async with serving(executor):
        resource = await ended(client, await begin(client))
    assert resource["result"] == {"weight": 3, "in time": True}


async def test_a_decision_is_told_everything_about_its_workflow(url: str, client: AsyncClient) -> None:
    executor, told = Executor(url), list[Any]()

    @executor.workflow(FLOW)
    def decide(workflow: Workflow) -> None:
        completed = workflow.completed
        told.append(
            (workflow.event, completed and completed.label, [(a.label, a.outcome) for a in workflow.activities])
        )
        assert (workflow.id, workflow.definition, workflow.params) == (workflow.resource["id"], FLOW, {"p": 1})
        assert workflow.decision.definition == "awf.workflow/decision-task"
        if workflow.event == "workflow-init":
            assert not workflow.execute(STEP, label="one").done
            assert workflow.execute(STEP, label="one") is workflow.activity("one")
            assert workflow.activity("two") is None
        elif workflow.event == "task-completed":
            workflow.execute_workflow("test/below", {"q": 2}, "below")
        else:
            below = workflow.activity("below")
            assert below is completed
            assert below is not None
            assert (below.succeeded, below.result, below.error) == (False, None, "too deep")
            workflow.complete()

    executor.task(STEP)(lambda task: None)
    executor.workflow("test/below")(lambda workflow: workflow.fail("too deep"))
    async with serving(executor):
        resource = await ended(client, await begin(client, {"p": 1}))
    assert resource["outcome"] == "succeeded"
    assert "result" not in resource
    assert told == [
        ("workflow-init", None, []),
        ("task-completed", "one", [("one", "succeeded")]),
        ("workflow-completed", "below", [("one", "succeeded"), ("below", "failed")]),
    ]


async def test_tasks_and_workflows_may_have_the_same_name(url: str, client: AsyncClient) -> None:
    executor = Executor(url)

    @executor.workflow("test/same")
    def decide(workflow: Workflow) -> None:
        step = workflow.execute("test/same", label="step")
        if step.done:
            workflow.complete(step.result)

    executor.task("test/same")(lambda task: "a task")
    async with serving(executor):
        assert (await ended(client, await begin(client, definition="test/same")))["result"] == "a task"


async def test_what_a_deciding_function_raises_is_tried_again(
    url: str, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.definition_put(FLOW, {"kind": "workflow", "retryDelay": 1})
    executor, attempts = Executor(url), []

    @executor.workflow(FLOW)
    def decide(workflow: Workflow) -> None:
        attempts.append(workflow.event)
        workflow.execute("test/never")
        if len(attempts) < 3:
            raise RuntimeError("not yet")
        workflow.actions.clear()
        workflow.complete(len(attempts))

    with caplog.at_level(logging.WARNING, "taskrpc.executor"):
        async with serving(executor):
            workflow_id = await begin(client)
            assert (await ended(client, workflow_id))["result"] == 3
    assert f"of {FLOW} failed: RuntimeError: not yet" in caplog.text
    status = await client.workflow_status(workflow_id, include_activities=True, include_decisions=True)
    assert (status["activities"], len(status["decisions"])) == ([], 1)


def returns_a_result(workflow: Workflow) -> Any:
    return {"done": True}


def goes_on_after_the_end(workflow: Workflow) -> None:
    workflow.complete()
    workflow.execute(STEP)


def names_nothing(workflow: Workflow) -> None:
    workflow.execute("")


@pytest.mark.parametrize(
    ("decide", "error"),
    [
        (returns_a_result, "a function that decides returns nothing"),
        (goes_on_after_the_end, "nothing can be started"),
        (names_nothing, "text that is not empty is expected"),
    ],
)
async def test_what_a_function_may_not_say_fails_the_decision(
    url: str, client: AsyncClient, decide: Any, error: str
) -> None:
    await client.definition_put(FLOW, {"kind": "workflow", "allowedRetryCount": 1})
    executor = Executor(url)
    executor.workflow(FLOW)(decide)
    async with serving(executor):
        resource = await ended(client, await begin(client))
    assert resource["outcome"] == "failed"
    assert error in resource["outcomeReason"]["data"]["error"]["message"]


async def test_the_decision_of_a_canceled_workflow_is_abandoned(url: str, client: AsyncClient) -> None:
    await client.definition_put(FLOW, {"kind": "workflow", "inProgressTimeout": 300})
    executor, deciding, cancelled = Executor(url), asyncio.Event(), asyncio.Event()

    @executor.workflow(FLOW)
    async def decide(workflow: Workflow) -> None:
        deciding.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(executor):
        workflow_id = await begin(client)
        await asyncio.wait_for(deciding.wait(), DEADLINE)
        await client.workflow_cancel(workflow_id)
        await asyncio.wait_for(cancelled.wait(), DEADLINE)


def test_a_definition_has_one_function_of_each_kind() -> None:
    executor = Executor("http://localhost")
    executor.workflow(FLOW)(serial)
    executor.task(FLOW)(lambda task: None)
    with pytest.raises(ValueError, match="has a function already"):
        executor.workflow(FLOW)(serial)
    with pytest.raises(ValueError, match="has to be 1 or more"):
        executor.workflow("another", concurrency=0)(serial)


async def test_the_client_knows_all_methods_of_workflows(client: AsyncClient) -> None:
    created = await client.workflow_create_and_execute(FLOW, {"x": 1}, id="w", label="L", execute_at="2999-01-01")
    assert (created["resource"]["id"], created["resource"]["label"]) == ("w", "L")
    assert (await client.workflow_result("w", timeout=0))["resource"]["status"] == "created"
    assert (await client.workflow_cancel("w"))["resource"]["outcome"] == "canceled"
    listed = await client.workflow_list(include_definitions=[FLOW], status=["done"], outcome=["canceled"], ilike="W")
    assert [resource["id"] for resource in listed["resources"]] == ["w"]
    assert (await client.workflow_list(exclude_definitions=[FLOW], sort={"createdAt": "asc"}, count=1))["total"] == 0


@pytest.fixture
async def shop(url: str, client: AsyncClient) -> Shop:
    for name, fields in DEFINITIONS.items():
        await client.definition_put(name, {**fields, "retryDelay": 1})
    return Shop({"tea": 500, "pot": 2900}, {"tea": 10, "pot": 1})


async def bought(url: str, client: AsyncClient, shop: Shop, **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A checkout that is done, and the outcomes of its steps by their labels."""
    executor = Executor(url)
    shop.register(executor)
    order = {"goods": {"tea": 2, "pot": 1}, "card": "4711", "address": "1 High Street", **params}
    async with serving(executor):
        workflow_id = await begin(client, order, CHECKOUT)
        resource = await ended(client, workflow_id)
    activities = (await client.workflow_status(workflow_id, include_activities=True))["activities"]
    return resource, {activity["label"]: activity["outcome"] for activity in activities}


async def test_a_checkout_orders_pays_and_sends(url: str, client: AsyncClient, shop: Shop) -> None:
    resource, steps = await bought(url, client, shop)
    assert steps == {"order": "succeeded", "pay": "succeeded", "send": "succeeded"}
    assert resource["outcome"] == "succeeded"
    assert resource["result"] == {"total": 3900, "paid": 3900, "parcel": f"parcel of {resource['id']}"}
    assert (shop.stock, shop.payments, list(shop.parcels.values())) == (
        {"tea": 8, "pot": 0}, {resource["id"]: 3900}, ["1 High Street"],
    )  # fmt: skip


async def test_a_checkout_that_cannot_be_paid_puts_the_goods_back(url: str, client: AsyncClient, shop: Shop) -> None:
    resource, steps = await bought(url, client, shop, card="0815")
    assert steps == {"order": "succeeded", "pay": "failed", "restock": "succeeded"}
    assert (resource["outcome"], resource["error"]["step"]) == ("failed", "pay")
    assert resource["error"]["error"]["type"] == "card-refused"
    assert (shop.stock, shop.payments, shop.parcels) == ({"tea": 10, "pot": 1}, {}, {})


async def test_a_checkout_that_cannot_be_sent_gives_money_and_goods_back(
    url: str, client: AsyncClient, shop: Shop
) -> None:
    resource, steps = await bought(url, client, shop, address="")
    assert steps == {
        "order": "succeeded", "pay": "succeeded", "send": "failed", "refund": "succeeded", "restock": "succeeded",
    }  # fmt: skip
    assert (resource["outcome"], resource["error"]["step"]) == ("failed", "send")
    assert (shop.stock, shop.payments, shop.parcels) == ({"tea": 10, "pot": 1}, {}, {})


async def test_a_checkout_of_what_is_sold_out_fails_at_once(url: str, client: AsyncClient, shop: Shop) -> None:
    resource, steps = await bought(url, client, shop, goods={"pot": 2})
    assert (steps, resource["error"]["error"]["type"]) == ({"order": "failed"}, "sold-out")
    assert shop.stock == {"tea": 10, "pot": 1}


async def test_the_example_defines_its_steps(url: str, client: AsyncClient) -> None:
    with Client(url) as sync_client:
        await asyncio.to_thread(checkout.define, sync_client)
    assert {resource["id"] for resource in (await client.definition_list())["resources"]} == set(DEFINITIONS)
