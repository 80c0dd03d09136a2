"""Flows that are run in the simulated world, and what came of them."""

from typing import Any

from tests.flows.execution import Execution
from tests.flows.simulation import World
from tests.unit.core.flow.flows import flow, flow_of


def ran(
    *tasks: dict[str, Any], world: World | None = None, inputs: dict[str, Any] | None = None, **more: Any
) -> Execution:
    """A flow of these tasks, run to its end."""
    world = world or World()
    execution = world.start(flow(*tasks, **more), inputs)
    world.settle()
    return execution


def of(text: str, world: World | None = None, **inputs: Any) -> Execution:
    """The flow of a YAML text, run to its end."""
    world = world or World()
    execution = world.start(flow_of(text), inputs)
    world.settle()
    return execution


def outputs(execution: Execution, task: str) -> list[Any]:
    """What the runs of a Return have put out."""
    return [(run.outputs or {}).get("value") for run in execution.named(task)]


def messages(execution: Execution, level: str = "ERROR") -> list[str]:
    """What an execution has logged."""
    return [line.message for line in execution.logs if line.level == level]
