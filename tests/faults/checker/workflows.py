"""Rule 8: workflows do each step once, decide one thing at a time, and end as their model says."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.faults.checker.violation import Violation
from tests.faults.flows import FLOW, expected
from tests.faults.history import WORKFLOW, History, Record


def check_workflows(history: History) -> Iterator[Violation]:
    """Rule 8."""
    belonging: defaultdict[str, list[Record]] = defaultdict(list)
    for resource in history.resources.values():
        if "requester" in resource:
            belonging[resource["requester"]["id"]].append(resource)
    canceled = {each.params.get("id") for each in history.operations if each.name == "workflow/cancel"}
    for workflow in history.resources.values():
        if workflow["resourceType"] != WORKFLOW:
            continue
        activities = [each for each in belonging[workflow["id"]] if "workflow-definition" not in each]
        decisions = [each for each in belonging[workflow["id"]] if "workflow-definition" in each]
        yield from _once(history, workflow, activities)
        yield from _one_at_a_time(history, workflow, decisions)
        if workflow["definition"] == FLOW and workflow["status"] == "done" and workflow["id"] not in canceled:
            yield from _as_the_model_says(workflow, activities)


def _once(history: History, workflow: Record, activities: list[Record]) -> Iterator[Violation]:
    started = Counter(each["label"] for each in activities if "label" in each)
    for label, count in started.items():
        if count > 1:
            yield Violation(8, workflow["id"], f"{label} was started {count} times")
    for each in activities:
        generations = 1 + sum(step.what == "retry" for step in history.of_subject.get(each["id"], ()))
        succeeded = sum(step.what == "success" for step in history.of_subject.get(each["id"], ()))
        if succeeded > generations:
            yield Violation(8, workflow["id"], f"{each.get('label', each['id'])} succeeded {succeeded} times")


def _one_at_a_time(history: History, workflow: Record, decisions: list[Record]) -> Iterator[Violation]:
    """Who makes a decision holds the workflow, and so writes after whoever ended the one before."""
    steps = sorted(
        (step for each in decisions for step in history.of_subject.get(each["id"], ())), key=lambda step: step.seq
    )
    open_one: str | None = None
    for step in steps:
        if step.what == "create":
            if open_one is not None:
                yield Violation(8, workflow["id"], f"decision {step.subject} began while {open_one} was open")
            open_one = step.subject
        elif step.after == "done" and step.subject == open_one:
            open_one = None
    events = Counter(str(each.get("params")) for each in decisions)
    for event, count in events.items():
        if count > 1 and not _comes_again(history, event):
            yield Violation(8, workflow["id"], f"{count} decisions are about {event}")


def _comes_again(history: History, event: str) -> bool:
    """A retried activity causes another event when it is done again."""
    return any(each.name == "task/retry" and repr(each.params["id"]) in event for each in history.operations)


def _as_the_model_says(workflow: Record, activities: list[Record]) -> Iterator[Violation]:
    right = expected(workflow["params"])
    if workflow["outcome"] != right.outcome:
        yield Violation(8, workflow["id"], f"it ended {workflow['outcome']} and not {right.outcome}")
    labels = {each.get("label") for each in activities}
    if labels != right.labels:
        yield Violation(8, workflow["id"], f"it started {sorted(map(str, labels))} and not {sorted(right.labels)}")
