"""Rule 5: what the log tells is a way through the life cycle, and what clients saw agrees with it and with itself."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from taskrpc.core.lifecycle import EDGES, WORKFLOW_EDGES
from tests.faults.checker.violation import Violation
from tests.faults.courses import COURSES
from tests.faults.history import WORKFLOW, History, Operation, Record, Transition

_OF_A_STATE: Final = ("status", "outcome", "execId", "result", "error", "feedback", "params")
_KINDS: Final = ("AidboxTask", WORKFLOW)
# These answer what happened before, when they are repeated.
_MAY_REPEAT: Final = frozenset(
    f"task/{name}" for name in ("start", "success", "fail", "release", "feedback", "cancel", "stop", "retry")
)


def check_transitions(history: History) -> Iterator[Violation]:
    """Rule 5."""
    for subject, transitions in history.of_subject.items():
        yield from _way(subject, transitions)
    for subject, resource in history.resources.items():
        yield from _agrees(resource, history.of_subject.get(subject, []))
    yield from _sightings(history)


def _way(subject: str, transitions: list[Transition]) -> Iterator[Violation]:
    edges = WORKFLOW_EDGES if transitions[0].kind == WORKFLOW else EDGES
    status: str | None = "created"
    for step in transitions:
        shown = f"{step.before} -{step.what}-> {step.after}"
        if step.before != status:
            yield Violation(5, subject, f"it was {status}, and the log goes on with {shown}")
        if (step.before, step.what, step.after) not in edges:
            yield Violation(5, subject, f"{shown} is no edge")
        status = step.after


def _agrees(resource: Record, transitions: list[Transition]) -> Iterator[Violation]:
    """Each change of the resource is one line of the log, and the last line is how it is."""
    subject, version = resource["id"], int(resource["meta"]["versionId"])
    counts_steps = resource["definition"] in COURSES  # most of them change task runs, which are not in this log
    if version < len(transitions) or (version > len(transitions) and not counts_steps):
        yield Violation(5, subject, f"it is at version {version}, and the log has {len(transitions)} lines")
    elif transitions[-1].after != resource["status"]:
        yield Violation(5, subject, f"it is {resource['status']}, and the log ends with {transitions[-1].after}")


def _shown(operation: Operation) -> list[Record]:
    if operation.end != "ok":
        return []
    own = operation.heard.get("resource", {})
    return [*operation.handed_out(), *([own] if own.get("resourceType") in _KINDS else [])]


def _sightings(history: History) -> Iterator[Violation]:
    """A version is one state, whoever looks; and who looks later sees no earlier version."""
    seen: dict[tuple[str, str], Record] = {}
    latest: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for operation in history.operations:
        for resource in _shown(operation):
            subject, version = resource["id"], resource["meta"]["versionId"]
            former = seen.setdefault((subject, version), resource)
            if _state(former) != _state(resource):
                message = f"version {version} was seen as {_state(former)} and as {_state(resource)}"
                yield Violation(5, subject, message)
            older = max((v for at, v in latest[subject] if at < operation.invoked), default=0)
            if int(version) < older and operation.name not in _MAY_REPEAT:
                yield Violation(5, subject, f"version {version} was seen after version {older}")
            latest[subject].append((operation.completed, int(version)))
    for subject, resource in history.resources.items():
        former = seen.get((subject, resource["meta"]["versionId"]), resource)
        if _state(former) != _state(resource):
            yield Violation(5, subject, f"it was seen as {_state(former)}, and it ends as {_state(resource)}")
        newest = max((v for _, v in latest[subject]), default=0)
        if int(resource["meta"]["versionId"]) < newest:
            yield Violation(5, subject, f"version {newest} was seen, and it ends at {resource['meta']['versionId']}")


def _state(resource: Record) -> tuple[object, ...]:
    return tuple(resource.get(name) for name in _OF_A_STATE)
