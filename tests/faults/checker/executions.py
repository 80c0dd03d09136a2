"""Rule 4: an execId is handed out once; its execution starts once, ends once, and is over when a newer one was seen."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.faults.checker.violation import Violation
from tests.faults.history import History, Operation

_OF_EXECUTION = frozenset(f"task/{name}" for name in ("start", "notify", "feedback", "success", "fail", "release"))
_ENDS = frozenset({"task/success", "task/fail", "task/release"})


class _Handed(NamedTuple):
    task_id: str
    version: int
    seen: float  # when its client knew


def check_executions(history: History) -> Iterator[Violation]:
    """Rule 4."""
    handed: dict[str, _Handed] = {}
    for operation in history.operations:
        for resource in operation.handed_out():
            exec_id = resource["execId"]
            if exec_id in handed:
                yield Violation(4, resource["id"], f"execId {exec_id} was handed out twice")
            version = int(resource["meta"]["versionId"])
            handed[exec_id] = _Handed(resource["id"], version, operation.completed)
    accepted = [each for each in history.operations if each.end == "ok" and each.name in _OF_EXECUTION]
    yield from _starts_and_ends(accepted)
    yield from _old_ones(accepted, handed)
    yield from _results(history)
    yield from _by_the_log(history)


def _starts_and_ends(accepted: list[Operation]) -> Iterator[Violation]:
    """A repeat shows the version of the call that it repeats: two versions are two effects."""
    starts: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    ends: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for operation in accepted:
        key = (operation.params["id"], operation.params["execId"])
        if operation.name == "task/start":
            starts[key].add(operation.heard["resource"]["meta"]["versionId"])
        elif operation.name in _ENDS:
            ends[key].add((operation.name, operation.heard["resource"]["meta"]["versionId"]))
    for (task_id, exec_id), versions in starts.items():
        if len(versions) > 1:
            yield Violation(4, task_id, f"execution {exec_id} was started {len(versions)} times")
    for (task_id, exec_id), found in ends.items():
        if len(found) > 1:
            yield Violation(4, task_id, f"execution {exec_id} has {len(found)} ends: {sorted(found)}")


def _old_ones(accepted: list[Operation], handed: dict[str, _Handed]) -> Iterator[Violation]:
    """A call of an execution that began after a client had seen a newer execution of the task."""
    newer: defaultdict[str, list[_Handed]] = defaultdict(list)
    for execution in handed.values():
        newer[execution.task_id].append(execution)
    for operation in accepted:
        mine = handed.get(operation.params["execId"])
        for other in newer[operation.params["id"]]:
            if mine is not None and other.version > mine.version and other.seen < operation.invoked:
                message = (
                    f"{operation.name} of {operation.params['execId']} was accepted after a newer execution was seen"
                )
                yield Violation(4, operation.params["id"], message)


def _results(history: History) -> Iterator[Violation]:
    """A task that succeeded has a result that the execution which is told to have succeeded has sent."""
    sent: defaultdict[str, list[object]] = defaultdict(list)
    for operation in history.operations:
        if operation.name == "task/success":
            sent[operation.params["execId"]].append(operation.params.get("result"))
    for task_id, resource in history.resources.items():
        succeeded = resource.get("outcome") == "succeeded" and "execId" in resource
        if not succeeded or "workflow-definition" in resource:  # what a decision says is carried out, and not kept
            continue
        if resource.get("result") not in sent[resource["execId"]]:
            yield Violation(4, task_id, f"its result is {resource.get('result')}, which its execution has not sent")


def _by_the_log(history: History) -> Iterator[Violation]:
    """Each poll has an execId of its own, and what happens in its execution has the same."""
    known: set[str] = set()
    for subject, steps in history.of_subject.items():
        current: str | None = None
        for step in steps:
            if step.what == "poll" and step.exec_id is not None:
                if step.exec_id in known:
                    yield Violation(4, subject, f"execId {step.exec_id} was handed out twice (log)")
                current = step.exec_id
                known.add(current)
            elif step.exec_id is not None and step.exec_id != current:
                yield Violation(4, subject, f"{step.what} of {step.exec_id} in the execution {current} (log)")
