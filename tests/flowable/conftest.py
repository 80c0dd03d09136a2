"""What flows do on a real service, with the reference executor at work on their scripts and requests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Clock
from tests.executor.workshop import Workshop, workshop
from tests.system.waiting import until

DEADLINE_MS = 30_000


@dataclass(frozen=True)
class Course:
    """What became of an execution: its workflow, and its task runs in the order of their creation."""

    workflow: Any
    runs: list[Any]
    log: list[Any]

    @property
    def states(self) -> list[str]:
        """Each task run as `task STATE`, with the loop's value it was for."""
        return [f"{name(run)} {run['state']}" for run in self.runs]

    @property
    def messages(self) -> list[str]:
        """What its tasks have logged."""
        said = [entry["action-params"] for entry in self.log if entry["action"] == "awf.workflow/log"]
        return [each["message"] for each in said]

    def run(self, task: str, value: str | None = None) -> Any:
        """The one run of a task, or of one of a loop's values."""
        (found,) = [run for run in self.runs if run["taskId"] == task and value in (None, run.get("value"))]
        return found

    def outputs(self, task: str, value: str | None = None) -> Any:
        """What a run has put out."""
        return self.run(task, value)["outputs"]


def name(run: Any) -> str:
    """A task run as it is called here."""
    return str(run["taskId"]) + (f"[{run['value']}]" if "value" in run else "")


@dataclass(frozen=True)
class Stage(Workshop):
    """A workshop, and who runs flows in it."""

    clock: Clock

    async def put(self, *flows: str) -> None:
        """Keeps flows."""
        for flow in flows:
            await self.client.flow_put(flow)

    async def begin(self, flow: str, **inputs: Any) -> str:
        """Puts a flow and starts it; the id of the execution."""
        put = (await self.client.flow_put(flow))["resource"]
        created = await self.client.workflow_create_and_execute(put["definition"], inputs)
        id: str = created["resource"]["id"]
        return id

    async def course(self, id: str) -> Course:
        """An execution as it is."""
        status = await self.client.workflow_status(id, include_task_runs=True, include_log=True)
        return Course(status["resource"], status["taskRuns"], status["log"])

    async def until_state(self, id: str, state: str) -> Course:
        """An execution once it is in a state."""

        async def there() -> Course | None:
            course = await self.course(id)
            return course if course.workflow.get("state") == state else None

        found: Course = await until(there)
        return found

    async def run(self, flow: str, state: str = "SUCCESS", **inputs: Any) -> Course:
        """A flow's execution that has ended, in this state."""
        return await self.ended(await self.begin(flow, **inputs), state)

    async def ended(self, id: str, state: str = "SUCCESS") -> Course:
        """An execution that has ended, in this state."""
        await self.client.workflow_result(id, timeout=DEADLINE_MS)
        course = await self.course(id)
        assert course.workflow.get("state") == state, (course.workflow, course.states, course.messages)
        return course

    async def pass_time(self, seconds: float) -> None:
        """Has it be later."""
        await self.clock.advance(seconds)
        self.running.reaper.poke()


@pytest.fixture
async def stage(database_url: str, clock: Clock, tmp_path: Path) -> AsyncIterator[Stage]:
    """A service with the reference executor at work."""
    async with workshop(database_url, tmp_path) as at:
        yield Stage(at.running, at.client, at.http, clock)
