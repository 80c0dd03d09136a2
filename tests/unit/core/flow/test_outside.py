"""What an execution has done outside: tasks and working directories."""

from taskrpc.core.flow.advance.events import (
    Began,
    CloseDirectory,
    Ended,
    EndTask,
    StartTask,
)
from taskrpc.core.flow.advance.step import is_over
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import flow, flowable, log, work
from tests.unit.core.flow.runs import messages

# -- tasks --------------------


def test_a_task_is_queued_with_its_params_rendered() -> None:
    world = World()
    execution = world.start(flow(work("w", a="{{ task.id }}", b={"c": ["{{ 1 }}", 2]}, timeout="PT1M")))
    world.settle()
    (started,) = [action for action in execution.actions if isinstance(action, StartTask)]
    assert (started.type, started.params, started.directory) == ("company/work", {"a": "w", "b": {"c": ["1", 2]}}, None)
    assert execution.runs[0].outputs == {"a": "w", "b": {"c": ["1", 2]}}
    assert [state for state, _ in execution.runs[0].history] == ["CREATED", "SUBMITTED", "RUNNING", "SUCCESS"]


def test_a_task_that_takes_too_long_is_ended_and_its_late_answer_left_alone() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(work("w", timeout="PT5S", allowFailure=True)))
    world.settle()
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    world.tell(execution, Began(world.now, 7, 1))
    assert execution.states() == ["w WARNING"]
    assert EndTask(1, 1) in execution.actions


def test_what_is_said_about_a_former_try_is_left_alone() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(work("w", retry={"type": "constant", "interval": "PT1S", "maxAttempts": 2})))
    world.settle(0)
    world.tell(execution, Ended(world.now, 1, 1, "FAILED", None, "no"))
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    assert execution.state.head.state == "RETRYING"
    world.settle(2 * SECOND)
    world.tell(execution, Ended(world.now, 1, 1, "SUCCESS"))
    world.tell(execution, Began(world.now, 1, 2))
    world.tell(execution, Began(world.now, 1, 2))
    world.tell(execution, Ended(world.now, 1, 2, "SUCCESS"))
    assert [attempt.state for attempt in execution.runs[0].attempts] == ["FAILED", "SUCCESS"]
    assert is_over(execution.state)


# -- working directories --------------------


DIRECTORY = flowable("WorkingDirectory", "dir", work("a"), log("b"), work("c"), **{"finally": [log("f")]})


def test_the_tasks_of_a_directory_are_done_where_it_is_until_it_is_closed() -> None:
    world = World()
    execution = world.start(flow(DIRECTORY))
    world.settle()
    tasks = [action for action in execution.actions if isinstance(action, StartTask)]
    assert [(task.type, task.directory) for task in tasks] == [
        ("core.flow.WorkingDirectory", None),
        ("company/work", 1),
        ("company/work", 1),
    ]
    assert [run.state for run in execution.runs] == ["SUCCESS"] * 5
    assert execution.runs[0].outputs == {"outputFiles": {}}


def test_a_directory_whose_executor_is_lost_starts_anew() -> None:
    world = World()
    world.mute.add("company/work")
    execution = world.start(flow(DIRECTORY))
    world.settle(0)
    world.mute.clear()
    world.tell(execution, Began(world.now, 1, 1))
    world.settle()
    assert EndTask(2, 1) in execution.actions
    assert [run.n for run in execution.named("a")] == [3]
    assert execution.state.head.state == "SUCCESS"


def test_a_directory_that_fails_fails_its_task() -> None:
    world = World()
    execution = world.start(flow(DIRECTORY))
    world.settle(0)
    world.tell(execution, Ended(world.now, 1, 1, "FAILED"))
    world.settle()
    assert execution.runs[0].state == "FAILED"
    assert not [action for action in execution.actions if isinstance(action, CloseDirectory)]
    assert "the working directory has failed" in messages(execution)
