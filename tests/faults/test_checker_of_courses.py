"""Rules 6 and 8 for flows are shown good histories and bad ones, and have to tell them apart."""

import itertools

import pytest

from tests.faults.checker.check import broken_rules, check
from tests.faults.checker.coverage import seen
from tests.faults.courses import COURSES, LEAF, NAMESPACE
from tests.faults.history import WORKFLOW, History
from tests.faults.story import Story

COURSE = f"{NAMESPACE}.course"
FAILING = f"{NAMESPACE}.failing"


class Execution:
    """An execution that is being told."""

    def __init__(self, definition: str = COURSE) -> None:
        self.told = Story({LEAF: {"allowedRetryCount": 1}})
        self._numbers = itertools.count(1)
        params = {"nonce": "n"}
        op = self.told.invoke("workflow/create-and-execute", id="w", definition=definition, params=params)
        self.told.begin("w", definition, "in-progress", resourceType=WORKFLOW, params=params)
        self.told.write("ok", op=op, answer={"resource": dict(self.told.there["w"])})

    def begin(self, name: str, run: int, attempt: int = 1) -> str:
        """A task of the flow comes into being."""
        task_id = f"{name}-{run}-{attempt}-{next(self._numbers)}"
        requester = {"id": "w", "resourceType": WORKFLOW, "taskRunId": f"w-{run}"}
        self.told.begin(task_id, LEAF, "ready", label=f"{name}/{run}/{attempt}", requester=requester)
        return task_id

    def leaf(self, name: str, run: int, attempt: int = 1, *, succeeds: bool = True) -> None:
        """A task of the flow comes into being and is done."""
        task_id = self.begin(name, run, attempt)
        if succeeds:
            self.told.finish(task_id, f"e-{task_id}")
        else:
            self.told.poll(task_id, f"e-{task_id}", start=True)
            self.told.act("fail", task_id, "done", execId=f"e-{task_id}", outcome="failed")

    def items(self, first: int = 3) -> None:
        for run in range(first, first + 3):
            self.leaf("item", run)

    def end(self, outcome: str = "succeeded") -> History:
        self.told.happens("flow-ended", "w", "done", outcome=outcome)
        return self.told.drained()

    def rest(self, seconds: float = 1.0) -> History:
        """What follows the first task of a course; `seconds` is how long its pause takes."""
        self.items()
        self.told.wait(seconds)
        self.leaf("last", 7)
        return self.end()


def test_the_model_ends_as_the_flow_says() -> None:
    course = Execution()
    course.leaf("first", 1)
    assert check(course.rest()) == []


def test_a_step_that_failed_is_tried_again_after_its_time() -> None:
    broken = {}
    for seconds in (0.3, 0.1, 2.5):
        course = Execution()
        course.leaf("first", 1, succeeds=False)
        course.told.wait(seconds)
        course.leaf("first", 1, attempt=2)
        broken[seconds] = broken_rules(course.rest())
    assert broken == {0.3: set(), 0.1: {6}, 2.5: {6}}


@pytest.mark.parametrize(("seconds", "rules"), [(1.0, set()), (2.9, set()), (0.9, {6}), (3.1, {6})])
def test_a_pause_is_neither_too_short_nor_too_long(seconds: float, rules: set[int]) -> None:
    course = Execution()
    course.leaf("first", 1)
    assert broken_rules(course.rest(seconds)) == rules


def test_a_step_that_comes_late_after_the_death_of_a_server_is_late() -> None:
    late = {}
    for target in ("postgres", "server-0"):
        course = Execution()
        course.leaf("first", 1)
        course.told.fault("kill", 3.0, target)
        late[target] = broken_rules(course.rest())
    assert late == {"postgres": set(), "server-0": {6}}


def test_a_step_that_is_done_twice_is_found() -> None:
    course = Execution()
    course.leaf("first", 1)
    course.leaf("first", 1)
    assert 8 in broken_rules(course.rest())


def test_a_step_that_is_tried_again_when_it_has_succeeded_is_found() -> None:
    course = Execution()
    course.leaf("first", 1)
    course.told.wait(0.3)
    course.leaf("first", 1, attempt=2)
    assert 8 in broken_rules(course.rest())


def test_a_step_that_is_left_out_is_found() -> None:
    course = Execution()
    course.leaf("first", 1)
    course.items()
    assert broken_rules(course.end()) == {8}


def test_another_outcome_than_that_of_the_flow_is_found() -> None:
    course = Execution()
    course.leaf("first", 1)
    course.items()
    course.told.wait(1.0)
    course.leaf("last", 7)
    assert broken_rules(course.end("failed")) == {8}


def test_more_of_a_loop_at_once_than_it_allows_is_found() -> None:
    course = Execution()
    course.leaf("first", 1)
    begun = [course.begin("item", run) for run in (3, 4, 5)]
    for task_id in begun:
        course.told.finish(task_id, f"e-{task_id}")
    course.told.wait(1.0)
    course.leaf("last", 7)
    assert broken_rules(course.end()) == {8}


def _failing(*attempts: int, after: str = "sorry") -> History:
    course = Execution(FAILING)
    course.leaf("first", 1)
    for attempt in attempts:
        course.leaf("bad", 2, attempt, succeeds=False)
        course.told.wait(0.3)
    course.leaf(after, 4)
    return course.end("failed")


def test_a_flow_that_fails_does_what_it_has_for_errors_and_nothing_else() -> None:
    assert check(_failing(1, 2)) == []
    assert broken_rules(_failing(1)) == {8}
    assert broken_rules(_failing(1, 2, 3)) == {8}
    assert broken_rules(_failing(1, 2, after="never")) == {8}


def test_an_execution_that_somebody_cancels_may_end_anywhere() -> None:
    course = Execution()
    course.leaf("first", 1)
    op = course.told.invoke("workflow/cancel", id="w", callId="c")
    course.told.happens("cancel", "w", "done", outcome="canceled")
    course.told.write("ok", op=op, answer={"resource": dict(course.told.there["w"])})
    assert check(course.told.drained()) == []


def test_a_fault_between_the_end_of_a_task_and_the_next_one_is_amid_a_step() -> None:
    course = Execution()
    course.leaf("first", 1)
    course.told.fault("kill-server", 0.1)
    assert seen(course.rest())["a fault amid a step of a flow"] == 1


def test_every_course_has_a_model() -> None:
    assert {COURSE, FAILING} == set(COURSES)
