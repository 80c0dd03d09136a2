"""What the nemesis plans: decided by the seed, and enough of each kind."""

from collections import Counter
from itertools import chain
from pathlib import Path

from tests.faults.nemesis import Nemesis
from tests.faults.plan import LANES, names_of, planned
from tests.faults.recorder import Recorder
from tests.faults.world import OneDatabase

NAMES = names_of(LANES)


def test_two_minutes_kill_the_database_eight_times_and_servers_fifteen_times() -> None:
    for seed in range(200):
        strikes = list(chain.from_iterable(planned(str(seed), 120, NAMES).values()))
        counts = Counter(strike.name for strike in strikes)
        assert counts["kill-postgres"] >= 8
        assert counts["kill-server"] >= 15
        assert set(counts) == set(NAMES)
        assert all(strike.at < 120 for strike in strikes)


def test_the_seed_decides_the_plan() -> None:
    assert planned("a", 60, NAMES) == planned("a", 60, NAMES)
    assert planned("a", 60, NAMES) != planned("b", 60, NAMES)


def test_only_what_is_wanted_is_planned() -> None:
    strikes = list(chain.from_iterable(planned("a", 60, ["kill-server", "reset"]).values()))
    assert {strike.name for strike in strikes} == {"kill-server", "reset"}
    assert not any(planned("a", 60, []).values())


def test_every_fault_that_can_be_planned_can_be_done(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.jsonl")
    assert Nemesis(OneDatabase(tmp_path, tmp_path, "a", None), recorder).strikes.keys() == set(NAMES)
    recorder.close()
    assert set(LANES) == set(planned("a", 1, NAMES))
