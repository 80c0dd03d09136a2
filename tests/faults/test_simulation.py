"""Simulations of the pure parts: seeds that have to hold, and stores with a defect that seeds have to find."""

from collections import Counter
from collections.abc import Sequence

import pytest

from taskrpc.core.lifecycle import ALLOWED_FROM, Call
from tests.faults.checker.check import check
from tests.faults.checker.coverage import OF_CALLS, seen
from tests.faults.checker.task_model import REFUSALS
from tests.faults.history import History
from tests.faults.simulation.__main__ import replay_command, violations_of
from tests.faults.simulation.rows import Row
from tests.faults.simulation.store import Store
from tests.faults.simulation.world import Simulation

SEEDS = 500
_PORTION = 50


@pytest.mark.parametrize("kind", ["tasks", "flows"])
@pytest.mark.parametrize("first", range(0, SEEDS, _PORTION))
def test_no_seed_violates_a_rule(first: int, kind: str) -> None:
    for seed in range(first, first + _PORTION):
        violations = violations_of(kind, seed)
        assert not violations, "\n".join([replay_command(kind, seed), *violations])


def _carried_out_and_refused(history: History) -> bool:
    """Whether a call that a client sent once is in the log, and was refused all the same."""
    of_executions = [each for each in history.operations if "execId" in each.params]
    sent = Counter((each.name, each.params["execId"]) for each in of_executions)
    logged = {(f"task/{step.what}", step.exec_id) for step in history.transitions}
    refused = {(each.name, each.params["execId"]) for each in of_executions if each.error_type in REFUSALS}
    return any(sent[call] == 1 for call in refused & logged)


@pytest.mark.parametrize("seed", [0, 8])
def test_seeds_in_which_a_server_repeats_after_another_call_what_it_has_done(seed: int) -> None:
    history = Simulation(seed).history()
    assert _carried_out_and_refused(history)
    assert check(history) == []


def test_a_seed_always_tells_the_same_story() -> None:
    stories = [Simulation(7) for _ in range(2)]
    for story in stories:
        story.history()
    assert stories[0].everything() == stories[1].everything()


def test_simulations_meet_what_they_are_made_for() -> None:
    counts = [seen(Simulation(seed).history()) for seed in range(20)]
    assert all(sum(count[what] for count in counts) for what in OF_CALLS)


class WithoutFence(Store):
    """Takes the calls of any execution."""

    def fits(self, call: Call, row: Row) -> bool:
        return super().fits(call, row) or (row.kind != "workflow" and row.status in ALLOWED_FROM[call.name])


class DecidesSideBySide(Store):
    """Makes a decision for every event at once."""

    def may_decide(self, still_open: Sequence[Row]) -> bool:
        return True


class EndlessAttempts(Store):
    """Knows no end of attempts."""

    def _end_attempt(self, row: Row, action: str, call_id: str | None = None) -> None:
        row.outcome, row.retry_count = None, min(row.retry_count, row.spec.allowedRetryCount - 1)
        super()._end_attempt(row, action, call_id)


class ForgetsTimeouts(Store):
    """Looks after nothing that has a deadline."""

    def reap(self) -> None:
        return


@pytest.mark.parametrize(
    ("store", "rule"), [(WithoutFence, 3), (DecidesSideBySide, 8), (EndlessAttempts, 6), (ForgetsTimeouts, 9)]
)
def test_a_defect_of_the_store_is_found_by_a_few_seeds(store: type[Store], rule: int) -> None:
    found = {violation.rule for seed in range(30) for violation in check(Simulation(seed, store).history())}
    assert rule in found
