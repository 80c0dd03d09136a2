"""Rules 1 and 2: what was acknowledged is there and done, once.

The workload puts a nonce of its own into the params of each create: so a task that was made twice under two ids is
known.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.checker.violation import Violation
from tests.faults.history import History, Operation, Record

_CREATES = ("task/create-and-execute", "workflow/create-and-execute")
_RULE_PUTS = ("scheduler/put", "subscription/put")
_EXISTS = ("task-already-exists", "workflow-already-exists")


@dataclass(slots=True)
class Account:
    """The ids of tasks and workflows as clients created them."""

    acknowledged: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)  # made by a create that had no answer


def _creations(history: History) -> Iterator[Operation]:
    return (operation for operation in history.operations if operation.name in _CREATES)


def _rules(history: History) -> set[str]:
    """The rules that may start tasks: those of the scheduler, and those that listen to events."""
    puts = (each for each in history.operations if each.name in _RULE_PUTS and each.end != "fail")
    return {each.params["id"] for each in puts}


def nonce(resource: Record) -> str | None:
    """What tells the create that made a task or a workflow."""
    params = resource.get("params")
    given = params.get("nonce") if isinstance(params, dict) else None
    return given if isinstance(given, str) else None


def account(history: History) -> Account:
    """Who was told what about creates, and what is there."""
    made, told, possible, nonces = Account(), set[str](), set[str](), set[str]()
    for operation in _creations(history):
        task_id = operation.params.get("id")
        if operation.end == "ok":
            told.add(operation.heard["resource"]["id"])
        elif operation.error_type in _EXISTS:
            made.acknowledged.add(operation.heard["data"]["resource"]["id"])
        elif operation.end == "info":
            possible.add(task_id or "")
            nonces.add(operation.params.get("params", {}).get("nonce"))
    made.acknowledged |= told
    there = history.resources
    requesters = _rules(history) | there.keys()
    made.lost = sorted(made.acknowledged - there.keys())
    made.recovered = sorted((possible & there.keys()) - told)
    for task_id, resource in there.items():
        asked_for = resource.get("requester", {}).get("id") in requesters
        known = task_id in made.acknowledged or task_id in possible or asked_for
        if not known and nonce(resource) in nonces - {None}:
            made.recovered.append(task_id)  # the client left its naming to the server
        elif not known:
            made.unexpected.append(task_id)
    counted = Counter(each for resource in there.values() if (each := nonce(resource)))
    made.doubled = sorted(each for each, count in counted.items() if count > 1)
    return made


def check_creates(history: History) -> Iterator[Violation]:
    """Rules 1 and 2."""
    made = account(history)
    for task_id in made.lost:
        yield Violation(1, task_id, "its create was acknowledged, and it is not there")
    for task_id in made.unexpected:
        yield Violation(1, task_id, "it is there, and nobody created it or was told that nothing was done")
    for each in made.doubled:
        yield Violation(1, each, "one create made two tasks")
    if "drained" in history.marks:
        for task_id in sorted(made.acknowledged & history.resources.keys()):
            status = history.resources[task_id]["status"]
            if status != "done":
                yield Violation(1, task_id, f"it is {status} after everything was worked off")
    yield from _one_per_id(history)


def _one_per_id(history: History) -> Iterator[Violation]:
    listed = Counter(resource["id"] for resource in history.listed)
    yield from (Violation(2, each, f"{count} resources have this id") for each, count in listed.items() if count > 1)
    created = Counter(each.heard["resource"]["id"] for each in _creations(history) if each.end == "ok")
    yield from (Violation(2, each, f"{count} creates made it") for each, count in created.items() if count > 1)
    logged = Counter(transition.subject for transition in history.transitions if transition.what == "create")
    yield from (Violation(2, each, f"the log has {count} creations") for each, count in logged.items() if count > 1)
