"""A few seconds of the whole: real processes, faults, a history, and the checker's verdict on it."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.faults.checker.check import check
from tests.faults.history import read_history
from tests.faults.one_database import ONE_DATABASE
from tests.faults.run import run
from tests.faults.summary import summary

# Nothing is changed by it but whence the servers take their code.
_FORMER: Final = Path(__file__).resolve().parents[2]


async def test_a_short_run_leaves_a_history_that_violates_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    wanted = ("kill-server", "other-version", "reset", "drop-answers", "drop-commits", "cut-connections")
    scenario = replace(ONE_DATABASE, former=_FORMER)
    await run(scenario, tmp_path, minutes=0.1, seed="short", wanted=wanted, say=said.append)
    history = read_history(tmp_path)
    violations = check(history)
    assert not violations, "\n".join(map(str, violations))
    done = {fault.name for fault in history.faults}
    assert "other-version" in done
    assert done <= set(wanted)
    assert "drained" in history.marks
    assert said[-1] == "reading what is there"
    assert "| violations | **0** |" in summary(history, violations)
