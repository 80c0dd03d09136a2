"""Simulations of flows: what they meet, that a seed is enough, and defects that seeds have to find."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from taskrpc.core.flow.advance import blocks, commands, ends, state
from taskrpc.core.flow.advance.state import State
from taskrpc.core.flow.advance.work import Work
from tests.faults.simulation.flows.store import FlowStore, Record
from tests.faults.simulation.flows.verdict import Verdict

FEW = 40


def test_a_seed_tells_the_same_story_whatever_the_hashes_of_texts_are() -> None:
    told = "from tests.faults.simulation.flows.verdict import Verdict; print(*Verdict(12).told(), sep='\\n')"
    stories = [
        subprocess.run(
            [sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert stories[0] == stories[1] != b""


def test_stories_meet_what_they_are_made_for() -> None:
    verdicts = [Verdict(seed) for seed in range(60)]
    text = "\n".join(line for verdict in verdicts for line in verdict.told())
    for met in (
        "a server dies", "is too late", "is killed", "is restarted", "replays", "Resumed(", "RETRYING", "EndTask(",
        "Fired(", "StartFlow(", "-> PAUSED", "-> FAILED", "-> WARNING", "-> SUCCESS", "-> KILLED",
    ):  # fmt: skip
        assert met in text, met
    assert all(verdict.violations == [] for verdict in verdicts)


def test_a_seed_in_which_what_follows_a_run_that_is_tried_again_began_beside_it() -> None:
    assert Verdict(9400).violations == []


# -- defects --------------------


class WithoutFence(FlowStore):
    """Takes steps that were worked out from what the execution is not any longer."""

    def commit(self, id: str, version: int, before: State, changes: Any, taken: Sequence[int]) -> bool:
        there = [number for number in taken if number in self.records[id].inbox]
        return super().commit(id, self.records[id].version, before, changes, there)


class KeepsEvents(FlowStore):
    """Does not delete the events that a step has taken."""

    def delete(self, record: Record, taken: Sequence[int]) -> None:
        return


class LosesEvents(FlowStore):
    """Deletes with a step what it has not taken, too."""

    def delete(self, record: Record, taken: Sequence[int]) -> None:
        record.inbox.clear()


def is_found(message: str, store: type[FlowStore] = FlowStore) -> bool:
    """Whether one of a few seeds violates a rule with this message."""
    return any(message in violation for seed in range(FEW) for violation in _violations(seed, store))


def _violations(seed: int, store: type[FlowStore]) -> Sequence[str]:
    try:
        return Verdict(seed, store).violations
    except Exception as error:  # a defect may break what it meets
        return [type(error).__name__]


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (WithoutFence, "is started once more"),
        (KeepsEvents, "does not come to an end"),
        (LosesEvents, "stays"),
    ],
)
def test_a_defect_of_the_store_is_found_by_a_few_seeds(store: type[FlowStore], message: str) -> None:
    assert is_found(message, store)


def _no_limit(run: state.Run) -> int:
    return 0


def _takes_any_try(work: Work, n: int, attempt: int) -> state.Run | None:
    return work.edit(n) if work.exists(n) and not work.run(n).ended else None


def _kills_only_the_head(work: Work, state: str) -> None:
    ends.finish(work, state)


def _starts_all_at_once(work: Work, run: state.Run, block: state.Block, tasks: Sequence[Any]) -> bool:
    while block.next < len(tasks):
        block.current = blocks._child(work, run, block, tasks, block.next, None).n
        block.next += 1
    return block.open > 0


@pytest.mark.parametrize(
    ("module", "name", "instead", "message"),
    [
        (blocks, "_limit", _no_limit, "open at once, and its limit is"),
        (blocks, "_start_next", _starts_all_at_once, "began before"),
        (commands, "_open", _takes_any_try, "if nothing breaks"),
        (commands, "end_all", _kills_only_the_head, "when everything was killed"),
    ],
)
def test_a_defect_of_advance_is_found_by_a_few_seeds(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, instead: Callable[..., Any], message: str
) -> None:
    monkeypatch.setattr(module, name, instead)
    assert is_found(message)
