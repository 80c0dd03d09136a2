"""Flows that start others in the simulated world."""

from typing import Any

from tests.flows.execution import Execution
from tests.flows.simulation import World
from tests.unit.core.flow.flows import flow, flow_of, log

SUBFLOW = {"id": "sub", "type": "core.flow.Subflow", "namespace": "company.team", "flowId": "child"}


def with_child(text: str, **more: Any) -> tuple[World, Execution]:
    """A flow with a subflow of this text, run to its end."""
    world = World([flow_of(text, "child")])
    execution = world.start(flow({**SUBFLOW, **more}, log("after")))
    world.settle()
    return world, execution


ITEMS = {
    "id": "each",
    "type": "core.flow.ForEachItem",
    "namespace": "company.team",
    "flowId": "child",
    "batch": {"rows": 2},
    "inputs": {"of": "{{ taskrun.items }}"},
}
CHILD = """
inputs: [{id: of}]
tasks:
  - {id: read, type: core.execution.Fail, condition: "{{ read(inputs.of) contains 'bad' }}"}
  - id: once
    type: core.execution.Fail
    condition: "{{ read(inputs.of) contains 'once' and taskrun.attemptsCount == 0 }}"
outputs: [{id: o, value: "{{ read(inputs.of) }}"}]
"""


def items_of(text: str, **more: Any) -> tuple[World, Execution]:
    """A flow with a subflow for each batch of a file of this text, run to its end."""
    world = World([flow_of(CHILD, "child")])
    execution = world.start(flow({**ITEMS, "items": world.store(text) if "://" not in text else text, **more}))
    world.settle()
    return world, execution
