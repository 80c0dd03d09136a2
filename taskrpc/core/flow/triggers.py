"""Flow triggers: whether what became of one execution starts another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, State
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.model import Flow, Trigger

_LISTENED_TO: Final = (*TERMINATED, "PAUSED")


@dataclass(frozen=True, slots=True)
class Firing:
    """A start that a trigger asks for: what `trigger` means in it, its inputs (not checked yet), its labels."""

    trigger: Mapping[str, Any]
    inputs: Mapping[str, Any]
    labels: Mapping[str, str]


def fires(trigger: Trigger, listener: Flow, source: Flow, state: State, facts: Facts) -> Firing | None:
    """Whether a Flow trigger of `listener` fires at the present state of an execution of `source`.

    Its inputs are rendered where that execution is. Raises ExpressionError for inputs that cannot be rendered.
    """
    head = state.head
    rules = trigger.properties
    if trigger.disabled or (source.namespace, source.id) == (listener.namespace, listener.id):
        return None
    if head.state not in rules.get("states", _LISTENED_TO):
        return None
    work = Work(source, state, facts)
    if not all(_holds(condition, source, work) for condition in rules["conditions"]):
        return None
    variables = {
        "executionId": head.id, "executionLabels": head.labels, "state": head.state, "namespace": source.namespace,
        "flowId": source.id, "flowRevision": source.revision, "outputs": head.outputs or {},
    }  # fmt: skip
    inputs = rendering(work, work.run(ROOT), {"trigger": variables}).document(rules.get("inputs", {}))
    return Firing(variables, inputs, rules["labels"])


def _holds(condition: Mapping[str, Any], source: Flow, work: Work) -> bool:
    head = work.head
    match condition["type"]:
        case "ExecutionStatus":
            wanted, unwanted = condition.get("in"), condition.get("notIn", [])
            return (wanted is None or head.state in wanted) and head.state not in unwanted
        case "ExecutionFlow":
            return (condition["namespace"], condition["flowId"]) == (source.namespace, source.id)
        case "ExecutionNamespace":
            return _is_in(source.namespace, condition)
        case "ExecutionLabels":
            labels: Mapping[str, Any] = condition["labels"]
            return all(head.labels.get(key) == value for key, value in labels.items())
    try:
        return rendering(work, work.run(ROOT)).condition(condition["expression"])
    except ExpressionError:
        return False


def _is_in(namespace: str, condition: Mapping[str, Any]) -> bool:
    wanted: str = condition["namespace"]
    match condition.get("comparison", "PREFIX" if condition.get("prefix") else "EQUALS"):
        case "PREFIX":
            return namespace.startswith(wanted)
        case "SUFFIX":
            return namespace.endswith(wanted)
    return namespace == wanted
