"""Rule 7: never more tasks of a definition are requested or in progress than its concurrencyLimit says.

Two witnesses. The log, in the order in which it was written: who takes a slot that another gave back writes after
that other one's commit. And the clients: from the answer that hands a task out until they send its end they surely
hold a slot.
"""

from collections import defaultdict
from collections.abc import Iterator
from math import inf
from typing import Final

from tests.faults.checker.violation import Violation
from tests.faults.history import History

_TAKEN: Final = ("requested", "in-progress")
_ENDS: Final = ("task/success", "task/fail", "task/release")


def check_limits(history: History) -> Iterator[Violation]:
    """Rule 7."""
    gates = {task_id: gate for task_id in history.resources if (gate := _gate(history, task_id)) is not None}
    yield from _by_the_log(history, gates)
    yield from _by_the_clients(history, gates)


def _gate(history: History, task_id: str) -> tuple[str, str, int] | None:
    """Whose slot a task takes: its definition, the value at its concurrencyPath, and the limit."""
    resource = history.resources[task_id]
    spec = history.spec(resource)
    if spec.concurrencyLimit is None or resource["resourceType"] != "AidboxTask":
        return None
    value: object = resource
    for part in spec.concurrencyPath or ():
        value = value.get(str(part)) if isinstance(value, dict) else None
    shown = "" if spec.concurrencyPath is None else repr(value)
    return resource["definition"], shown, spec.concurrencyLimit


def _by_the_log(history: History, gates: dict[str, tuple[str, str, int]]) -> Iterator[Violation]:
    used: defaultdict[tuple[str, str, int], int] = defaultdict(int)
    for step in history.transitions:
        gate = gates.get(step.subject)
        if gate is None:
            continue
        used[gate] += (step.after in _TAKEN) - (step.before in _TAKEN)
        if used[gate] > gate[2] and step.before not in _TAKEN:
            yield Violation(7, gate[0], f"{used[gate]} of {gate[2]} slots of {gate[1] or 'all'} at {step.at:.3f} (log)")


def _by_the_clients(history: History, gates: dict[str, tuple[str, str, int]]) -> Iterator[Violation]:
    events: defaultdict[tuple[str, str, int], list[tuple[float, int]]] = defaultdict(list)
    sent: dict[str, float] = {}
    for operation in history.operations:
        if operation.name in _ENDS:
            sent.setdefault(operation.params["execId"], operation.invoked)
    for operation in history.operations:
        for resource in operation.handed_out():
            gate, exec_id = gates.get(resource["id"]), resource["execId"]
            until = min(sent.get(exec_id, inf), _over(history, resource["id"], exec_id))
            if gate is not None and until > operation.completed:
                events[gate] += [(operation.completed, 1), (until, -1)]
    for gate, changes in events.items():
        used = 0
        for at, change in sorted(changes):
            used += change
            if used > gate[2] and change > 0:
                yield Violation(7, gate[0], f"{used} of {gate[2]} slots of {gate[1] or 'all'} at {at:.3f} (clients)")


def _over(history: History, task_id: str, exec_id: str) -> float:
    """When the log tells that an execution was over."""
    for step in history.of_subject.get(task_id, ()):
        if step.exec_id == exec_id and step.after not in _TAKEN:
            return step.at
    return inf
