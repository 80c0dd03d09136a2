"""A few seconds of the whole: real processes, faults, a history, and the checker's verdict on it."""

from pathlib import Path

from tests.faults.checker.check import check
from tests.faults.history import read_history
from tests.faults.one_database import ONE_DATABASE
from tests.faults.run import run
from tests.faults.summary import summary


async def test_a_short_run_leaves_a_history_that_violates_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    wanted = ("kill-server", "reset", "drop-answers", "drop-commits", "cut-connections")
    skipped = await run(ONE_DATABASE, tmp_path, minutes=0.1, seed="short", wanted=wanted, say=said.append)
    history = read_history(tmp_path)
    violations = check(history)
    assert not violations, "\n".join(map(str, violations))
    assert {fault.name for fault in history.faults} <= set(wanted)
    assert history.faults
    assert "drained" in history.marks
    assert said[-1] == "reading what is there"
    assert "| violations | **0** |" in summary(history, violations, skipped)
