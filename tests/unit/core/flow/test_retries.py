"""Tasks, and executions, that are tried again."""

from typing import Any

import pytest

from taskrpc.core.flow.advance.events import Restarted, SetTimer
from tests.flows.simulation import SECOND, World
from tests.unit.core.flow.flows import fail, flowable, log, value, work
from tests.unit.core.flow.runs import ran

RETRY = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}


@pytest.mark.parametrize(
    ("retry", "attempts", "seconds"),
    [
        (RETRY, 3, 2),
        ({"type": "exponential", "interval": "PT1S", "maxInterval": "PT3S", "maxAttempts": 4}, 4, 6),
        ({"type": "constant", "interval": "PT1S", "maxDuration": "PT2.5S"}, 3, 2),
    ],
)
def test_a_failing_task_is_tried_again(retry: dict[str, Any], attempts: int, seconds: int) -> None:
    execution = ran(fail("f", retry=retry))
    run = execution.runs[0]
    assert (len(run.attempts), run.state, run.history[-1][1] - run.history[0][1]) == (
        attempts,
        "FAILED",
        seconds * SECOND,
    )


def test_a_random_delay_is_within_its_bounds() -> None:
    execution = ran(fail("f", retry={"type": "random", "minInterval": "PT1S", "maxInterval": "PT2S", "maxAttempts": 5}))
    delays = [action.after for action in execution.actions if isinstance(action, SetTimer)]
    assert len(delays) == 4
    assert all(SECOND <= delay <= 2 * SECOND for delay in delays)
    assert len(set(delays)) > 1


def test_handlers_start_before_the_retry_of_something_around_and_vanish_with_it() -> None:
    block = flowable(
        "Sequential", "s", fail("f"), retry=RETRY, errors=[work("e"), log("e2")], **{"finally": [log("x")]}
    )
    execution = ran(flowable("Sequential", "outer", block))
    assert [line for line in execution.states() if "outer" not in line] == [
        "s FAILED", "f FAILED", "e SUCCESS", "e2 SUCCESS", "x SUCCESS",
    ]  # fmt: skip
    assert [len(run.attempts) for run in execution.named("f")] == [3]
    assert execution.state.head.next > 10


def test_a_success_after_retries_may_be_a_warning() -> None:
    task = value("v", "{{ taskrun.attemptsCount == 1 ? 'ok' : missing }}", retry={**RETRY, "warningOnRetry": True})
    assert ran(task).states() == ["v WARNING"]


def test_a_run_that_is_skipped_when_it_is_done_again_has_an_attempt_for_it() -> None:
    world = World()
    once = fail("f", runIf="{{ taskrun.attemptsCount == 0 }}")
    execution = ran(once, log("after"), world=world)
    world.tell(execution, Restarted(world.now))
    world.settle()
    assert execution.states() == ["f SKIPPED", "after SUCCESS"]
    assert [attempt.state for attempt in execution.runs[0].attempts] == ["FAILED", "SKIPPED"]


@pytest.mark.parametrize("limit", [{"maxAttempts": 3}, {"maxDuration": "PT2.5S"}])
def test_a_new_execution_is_tried_as_often_or_as_long_as_is_said(limit: dict[str, Any]) -> None:
    world = World()
    retry = {"type": "constant", "interval": "PT1S", "behavior": "CREATE_NEW_EXECUTION", **limit}
    nested = flowable("Sequential", "s", fail("f", retry=retry))
    ran(nested, world=world)
    assert [each.state.head.state for each in world.executions.values()] == ["RETRIED", "RETRIED", "FAILED"]
