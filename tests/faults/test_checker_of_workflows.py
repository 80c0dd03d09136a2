"""Rule 8 on good and bad histories of workflows, told by hand."""

from typing import Any

import pytest

from tests.faults.checker.check import check
from tests.faults.flows import FLOW, STEP
from tests.faults.history import History
from tests.faults.story import Story
from tests.system.dying_executors import STEPS

PARALLEL = {"kind": "parallel"}


class Course:
    """A workflow whose steps all run at once; `decide` and `step` are the parts of its way."""

    def __init__(self) -> None:
        self.told = Story()
        self.told.begin("w", FLOW, "in-progress", resourceType="AidboxWorkflow", params=PARALLEL)
        op = self.told.invoke("workflow/create-and-execute", id="w", definition=FLOW, params=PARALLEL)
        self.told.write("ok", op=op, answer={"resource": self.told.there["w"]})

    def _belongs(self, task_id: str, definition: str, **fields: Any) -> None:
        requester = {"id": "w", "resourceType": "AidboxWorkflow"}
        self.told.begin(task_id, definition, "ready", requester=requester, **fields)

    def begin_decision(self, name: str, event: str) -> None:
        fields = {"workflow-definition": FLOW, "params": {"event": event}}
        self._belongs(name, "awf.workflow/decision-task", **fields)

    def end_decision(self, name: str) -> None:
        self.told.finish(name, f"e-{name}")

    def step(self, label: str, task_id: str | None = None) -> None:
        self._belongs(task_id or label, STEP, label=label)
        self.told.finish(task_id or label, f"e-{task_id or label}")

    def ended(self, outcome: str = "succeeded") -> History:
        self.told.happens("complete-workflow", "w", "done", outcome=outcome)
        return self.told.end()


def whole_course() -> Course:
    course = Course()
    course.begin_decision("d0", "init")
    course.end_decision("d0")
    for n in range(STEPS):
        course.step(f"step-{n}")
        course.begin_decision(f"d{n + 1}", f"completed {n}")
        course.end_decision(f"d{n + 1}")
    return course


def messages(history: History) -> list[str]:
    found = check(history)
    assert {violation.rule for violation in found} <= {8}
    return [violation.message for violation in found]


def test_a_workflow_that_goes_its_way_violates_nothing() -> None:
    assert messages(whole_course().ended()) == []


def test_decisions_side_by_side_are_found() -> None:
    course = whole_course()
    course.begin_decision("d7", "seventh")
    course.begin_decision("d8", "eighth")
    course.end_decision("d7")
    course.end_decision("d8")
    assert messages(course.ended()) == ["decision d8 began while d7 was open"]


def test_two_decisions_about_one_event_are_found() -> None:
    course = whole_course()
    course.begin_decision("d7", "init")
    course.end_decision("d7")
    assert messages(course.ended()) == ["2 decisions are about {'event': 'init'}"]


def test_a_step_that_is_started_twice_is_found() -> None:
    course = whole_course()
    course.step("step-0", "again")
    assert messages(course.ended()) == ["step-0 was started 2 times"]


@pytest.mark.parametrize("canceled", [False, True])
def test_another_end_than_the_models_is_found_unless_somebody_canceled_the_workflow(canceled: bool) -> None:
    course = whole_course()
    if canceled:
        course.told.unanswered("workflow/cancel", id="w")
    expected = [] if canceled else ["it ended failed and not succeeded"]
    assert messages(course.ended("failed")) == expected


def test_a_step_that_is_missing_is_found() -> None:
    course = Course()
    course.begin_decision("d0", "init")
    course.end_decision("d0")
    assert [message.split(" and not")[0] for message in messages(course.ended())] == ["it started []"]
