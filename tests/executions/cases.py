"""The cases on a real service: a folder each, run in the real world instead of the simulated one."""

import asyncio
from pathlib import Path
from typing import Any

from taskrpc.core.flow.model import Flow
from taskrpc.wire.yaml_reader import decode
from tests.databases import Clock
from tests.engine.headless import Headless
from tests.executions.world import RealWorld
from tests.flows.cases import Case
from tests.flows.execution import Execution


class RealCase(Case):
    """A case on a service."""

    def __init__(self, folder: Path, server: Headless, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(folder)
        self.world: RealWorld = RealWorld(server, clock, loop)  # type: ignore[assignment]

    def _deploy(self) -> None:
        world = self.world
        for file in sorted(self.folder.glob("*.template.yaml")):
            document: Any = decode(file.read_bytes())
            world.wait(world.server.call("awf.template/put", **document))
        for file in [*sorted(self.folder.glob("subflow.*.yaml")), self.folder / "flow.yaml"]:
            world.wait(world.server.call("awf.flow/put", source=file.read_text()))
        for flow in world.wait(self._all()):
            world.flows[flow.namespace, flow.id] = flow

    async def _all(self) -> list[Flow]:
        services = self.world.server.parts.services
        listed = (await self.world.server.call("awf.flow/list"))["resources"]
        loaded = [await services.flows.load(each["definition"]) for each in listed]
        return [each.flow for each in loaded if each is not None]

    def _do(self, execution: Execution, step: dict[str, Any]) -> Execution:
        """A restarted execution goes on at once; that it was RESTARTED shows in its history."""
        if step.get("action") != "restart":
            return super()._do(execution, step)
        times = [state for state, _ in execution.state.head.history].count("RESTARTED")
        execution = super()._do(execution, {**step, "expect": {}})
        self.world.settle(stop=lambda: [each for each, _ in execution.state.head.history].count("RESTARTED") > times)
        return execution

    def _replay(self, execution: Execution, step: dict[str, Any]) -> Execution:
        target = execution.named(step.pop("taskId"))[-1].n if "taskId" in step else None
        return self.world.replay(execution, target)
