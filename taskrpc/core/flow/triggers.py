"""Triggers of flows: what starts an execution, with which inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from taskrpc.core.flow.advance.context import rendering
from taskrpc.core.flow.advance.facts import Facts
from taskrpc.core.flow.advance.state import ROOT, TERMINATED, Changes, Head, State, begin
from taskrpc.core.flow.advance.work import Work
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.model import Flow, Trigger
from taskrpc.core.flow.preconditions import Heard, meets

_LISTENED_TO: Final = (*TERMINATED, "PAUSED")
_CORRELATION: Final = "system.correlationId"


@dataclass(frozen=True, slots=True)
class Firing:
    """A start that a trigger asks for: what `trigger` means in it, its inputs (not checked yet), its labels."""

    trigger: Mapping[str, Any]
    inputs: Mapping[str, Any]
    labels: Mapping[str, str]


def begins(trigger: Trigger, flow: Flow, variables: Mapping[str, Any], at: int, facts: Facts) -> Firing | None:
    """What a Schedule or Webhook trigger of `flow` starts, where its conditions hold; `variables` are what `trigger`
    means. Raises ExpressionError for inputs that cannot be rendered, MissingFactError."""
    state = begin(flow, "trigger", at, trigger=variables)
    work = Work(flow, state, facts)
    if not all(_holds(condition, flow, work) for condition in trigger.properties["conditions"]):
        return None
    inputs = rendering(work, work.run(ROOT)).document(trigger.properties.get("inputs", {}))
    return Firing(variables, inputs, trigger.properties["labels"])


def key_of(trigger: Trigger, flow: Flow, at: int, facts: Facts) -> str:
    """The key that a call of a Webhook trigger has to bring. Raises as `begins` does."""
    work = Work(flow, begin(flow, "trigger", at), facts)
    return rendering(work, work.run(ROOT)).text(trigger.properties["key"])


def listens(trigger: Trigger, listener: Flow, source: Flow, head: Head) -> bool:
    """Whether a Flow trigger of `listener` may fire at the present state of an execution of `source`: what needs no
    expression is looked at, and that is most."""
    if trigger.disabled or (source.namespace, source.id) == (listener.namespace, listener.id):
        return False
    wanted = trigger.properties.get("states", _LISTENED_TO)
    if head.state not in ([wanted] if isinstance(wanted, str) else wanted):
        return False
    return all(
        condition["type"] == "Expression" or _fits(condition, source, head)
        for condition in trigger.properties["conditions"]
    )


def fires(trigger: Trigger, listener: Flow, source: Flow, state: State, facts: Facts) -> Firing | None:
    """Whether a Flow trigger of `listener` fires at the present state of an execution of `source`.

    Its inputs are rendered where that execution is. Raises ExpressionError for inputs that cannot be rendered.
    """
    head = state.head
    rules = trigger.properties
    if not listens(trigger, listener, source, head):
        return None
    work = Work(source, state, facts)
    if not all(_holds(condition, source, work) for condition in rules["conditions"]):
        return None
    variables = {
        "executionId": head.id, "executionLabels": head.labels, "state": head.state, "namespace": source.namespace,
        "flowId": source.id, "flowRevision": source.revision, "outputs": head.outputs or {},
    }  # fmt: skip
    inputs = rendering(work, work.run(ROOT), {"trigger": variables}).document(rules.get("inputs", {}))
    return Firing(variables, inputs, {**rules["labels"], _CORRELATION: head.labels.get(_CORRELATION, head.id)})


def helps(trigger: Trigger, listener: Flow, source: Flow, state: State, facts: Facts) -> list[str]:
    """Which preconditions of a Flow trigger of `listener` the present state of an execution of `source` meets, if the
    trigger listens to it at all; none for a trigger without."""
    rules = trigger.properties.get("preconditions")
    if rules is None or not listens(trigger, listener, source, state.head):
        return []
    work = Work(source, state, facts)

    def render(expression: str) -> str | None:
        try:
            return rendering(work, work.run(ROOT)).text(expression)
        except ExpressionError:
            return None

    if not all(_holds(condition, source, work) for condition in trigger.properties["conditions"]):
        return []
    return meets(rules, Heard(source.namespace, source.id, state.head.state, state.head.labels), render)


def entered(before: Head, after: Head) -> Sequence[tuple[int, Head]]:
    """The states that an execution has come to in a step: each with its place in the history, and the head as if it
    were in it still."""
    known = len(before.history)
    return [(known + n, replace(after, state=state)) for n, (state, _) in enumerate(after.history[known:])]


def after_step(state: State, changes: Changes, head: Head) -> State:
    """The execution as a step leaves it that is not stored yet, with another head."""
    gone = set(changes.gone)
    runs = {n: run for n, run in state.runs.items() if n not in gone} | changes.runs
    return State(head, [runs[n] for n in sorted(runs)])


def _holds(condition: Mapping[str, Any], source: Flow, work: Work) -> bool:
    if condition["type"] != "Expression":
        return _fits(condition, source, work.head)
    try:
        return rendering(work, work.run(ROOT)).condition(condition["expression"])
    except ExpressionError:
        return False


def _fits(condition: Mapping[str, Any], source: Flow, head: Head) -> bool:
    match condition["type"]:
        case "ExecutionStatus":
            wanted, unwanted = condition.get("in"), condition.get("notIn", [])
            return (wanted is None or head.state in wanted) and head.state not in unwanted
        case "ExecutionFlow":
            return (condition["namespace"], condition["flowId"]) == (source.namespace, source.id)
        case "ExecutionNamespace":
            return _is_in(source.namespace, condition)
    labels: Mapping[str, Any] = condition["labels"]
    return all(head.labels.get(key) == value for key, value in labels.items())


def _is_in(namespace: str, condition: Mapping[str, Any]) -> bool:
    wanted: str = condition["namespace"]
    match condition.get("comparison", "PREFIX" if condition.get("prefix") else "EQUALS"):
        case "PREFIX":
            return namespace.startswith(wanted)
        case "SUFFIX":
            return namespace.endswith(wanted)
    return namespace == wanted
