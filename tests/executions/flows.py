"""Flows as tests see them: put, begun, worked for, watched."""

from typing import Any, Final

from tests.engine.headless import Headless
from tests.system.waiting import until

NAMESPACE: Final = "company.team"
WORK: Final = "company/work"
PATIENCE_MS: Final = 20_000


class Flows:
    """The methods of one server around flows."""

    def __init__(self, server: Headless) -> None:
        self.server = server
        self.call = server.call

    async def put(self, *tasks: dict[str, Any], id: str = "flow", **more: Any) -> str:
        """Puts a flow of these tasks; answers the name of its definition."""
        put = await self.call("awf.flow/put", id=id, namespace=NAMESPACE, tasks=list(tasks), **more)
        resource = put["resource"]
        name: str = resource["definition"]
        return name

    async def begin(self, name: str = f"{NAMESPACE}.flow", **further: Any) -> str:
        """The id of a new execution."""
        created = await self.call("awf.workflow/create-and-execute", definition=name, **further)
        workflow_id: str = created["resource"]["id"]
        return workflow_id

    async def task(self, definition: str = WORK) -> Any:
        """The next task of a definition, started."""
        polled = await self.call("awf.task/long-poll", taskDefinitions=[definition], start=True, timeout=PATIENCE_MS)
        (handed_out,) = polled["resources"]
        return handed_out

    async def work(self, definition: str = WORK, **result: Any) -> Any:
        """Does the next task of a definition; answers it."""
        task = await self.task(definition)
        await self.server.of("success", task, result=result)
        return task

    async def fail(self, definition: str = WORK, message: str = "cannot") -> Any:
        """Has the next task of a definition fail; answers it."""
        task = await self.task(definition)
        await self.server.of("fail", task, error={"type": "x", "message": message})
        return task

    async def workflow(self, workflow_id: str) -> Any:
        """The workflow as it is now."""
        return (await self.call("awf.workflow/status", id=workflow_id))["resource"]

    async def ended(self, workflow_id: str, state: str | None = None) -> Any:
        """The workflow when it is done, in this state if one is given."""
        ended = (await self.call("awf.workflow/result", id=workflow_id, timeout=PATIENCE_MS))["resource"]
        assert ended["status"] == "done", ended
        if state is not None:
            await self.reaches(workflow_id, state)
        return ended

    async def reaches(self, workflow_id: str, state: str) -> Any:
        """The workflow when its execution is in a state."""

        async def there() -> Any:
            found = await self.workflow(workflow_id)
            return found if found["state"] == state else None

        return await until(there)

    async def runs(self, workflow_id: str) -> list[Any]:
        """The task runs, in the order of their creation."""
        status = await self.call("awf.workflow/status", id=workflow_id, **{"include-task-runs?": True})
        runs: list[Any] = status["taskRuns"]
        return runs

    async def states(self, workflow_id: str) -> list[str]:
        """`task STATE` of every run."""
        return [f"{run['taskId']} {run['state']}" for run in await self.runs(workflow_id)]


def work(id: str = "work", **more: Any) -> dict[str, Any]:
    """A task for an executor."""
    return {"id": id, "type": WORK, **more}


def log(id: str = "say", message: str = "said") -> dict[str, Any]:
    """A line of the log."""
    return {"id": id, "type": "core.log.Log", "message": message}
