"""Workflows as tests see them: the actions of decisions, and a server's methods around them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskrpc.store.reaping import Reaping
from taskrpc.store.retention import Retention
from tests.engine.headless import Headless
from tests.system.waiting import until

FLOW: Final = "test/flow"
SUB: Final = "test/sub"
STEP: Final = "test/step"
PATIENCE_MS: Final = 20_000
DO_NOTHING: Final = {"action": "awf.workflow.action/do-nothing"}


def task(label: str | None = None, definition: str = STEP, **params: Any) -> dict[str, Any]:
    """The action that starts a task."""
    request = {"definition": definition, "params": params} | ({"label": label} if label else {})
    return {"action": "awf.workflow.action/schedule-task", "task-request": request}


def workflow(label: str | None = None, definition: str = SUB, **params: Any) -> dict[str, Any]:
    """The action that starts a workflow."""
    return {**task(label, definition, **params), "action": "awf.workflow.action/schedule-workflow"}


def complete(result: Any = None) -> dict[str, Any]:
    """The action that ends a workflow well."""
    return {"action": "awf.workflow.action/complete-workflow"} | ({} if result is None else {"result": result})


def fail(error: Any = None) -> dict[str, Any]:
    """The action that ends a workflow badly."""
    return {"action": "awf.workflow.action/fail"} | ({} if error is None else {"error": error})


async def reap(server: Headless) -> None:
    """Has time do its work, on a server without loops."""
    reaping = Reaping(server.parts.database, server.parts.signals)
    await reaping.beat()
    await reaping.reap()
    await Retention(server.parts.database).delete_expired()


class Flows:
    """The methods of one server around workflows; decisions and steps are handed out already started."""

    def __init__(self, server: Headless) -> None:
        self.server = server
        self.call = server.call

    async def begin(self, definition: str = FLOW, **further: Any) -> str:
        """The id of a new workflow."""
        created = await self.call("awf.workflow/create-and-execute", definition=definition, **further)
        workflow_id: str = created["resource"]["id"]
        return workflow_id

    async def decision(self, definition: str = FLOW) -> Any:
        """The next decision of some workflow of a definition."""
        return await self._one({"workflowDefinitions": [definition]})

    async def step(self, definition: str = STEP) -> Any:
        """The next task of a definition."""
        return await self._one({"taskDefinitions": [definition]})

    async def _one(self, queue: Mapping[str, Sequence[str]]) -> Any:
        polled = await self.call("awf.task/long-poll", **queue, start=True, timeout=PATIENCE_MS)
        (handed_out,) = polled["resources"]
        return handed_out

    async def at_hand(self, *workflow_definitions: str) -> list[Any]:
        """Requested decisions, all that are to be had now."""
        names = list(workflow_definitions) or [FLOW]
        polled = await self.call("awf.task/poll", workflowDefinitions=names, maxBatchSize=1000)
        resources: list[Any] = polled["resources"]
        return resources

    async def succeed(self, task: Any, result: Any = None, **further: Any) -> Any:
        """The end of a decision or a step."""
        return (
            (await self.server.of("success", task, result=result, **further))
            if result is not None
            else (await self.server.of("success", task, **further))
        )

    async def decide(self, *actions: Any, definition: str = FLOW) -> Any:
        """Has the next decision say this; answers the decision."""
        decision = await self.decision(definition)
        await self.succeed(decision, list(actions))
        return decision

    async def status(self, workflow_id: str) -> Any:
        """The workflow with all that belongs to it."""
        asked = {"include-activities?": True, "include-decisions?": True}
        return await self.call("awf.workflow/status", id=workflow_id, **asked)

    async def workflow(self, workflow_id: str) -> Any:
        """The workflow as it is now."""
        return (await self.call("awf.workflow/status", id=workflow_id))["resource"]

    async def ended(self, workflow_id: str) -> Any:
        """The workflow when it is done."""
        ended = (await self.call("awf.workflow/result", id=workflow_id, timeout=PATIENCE_MS))["resource"]
        assert ended["status"] == "done", ended
        return ended

    async def canceled(self, task: Any) -> None:
        """Returns when a task is canceled."""

        async def is_canceled() -> bool:
            return await self.outcome(task) == ("done", "canceled")

        await until(is_canceled)

    async def outcome(self, task: Any) -> tuple[str, str | None]:
        """Status and outcome of a task now."""
        resource = await self.server.status(task)
        return resource["status"], resource.get("outcome")
