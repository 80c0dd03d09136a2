"""What the command refuses before anything is started."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.command import command
from tests.faults.one_database import ONE_DATABASE
from tests.faults.plan import Lane
from tests.faults.run import Scenario
from tests.faults.story import quick_story

_NO_VERSIONS = replace(ONE_DATABASE, lanes={"servers": Lane((1.0, 2.0), ("kill-server",))})


@pytest.mark.parametrize(
    ("scenario", "former", "said"),
    [(ONE_DATABASE, "nowhere", "is no checkout"), (_NO_VERSIONS, "taskrpc", "nothing restarts servers")],
)
def test_a_former_version_that_would_not_be_run_is_refused(
    scenario: Scenario, former: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["faults", "--former", str(Path(__file__).parent / former)])
    with pytest.raises(SystemExit) as ended:
        command(scenario, "faults", None)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_check_tells_what_the_run_told_and_leaves_the_summary_of_the_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = quick_story(skipped={"fill-disk": "no mounts"})
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(record) + "\n" for record in told.records))
    (tmp_path / "summary.md").write_text("as it was")
    monkeypatch.setattr("sys.argv", ["faults", "--check", str(tmp_path)])
    assert command(ONE_DATABASE, "faults", None) == 0
    assert "- no `fill-disk`: no mounts" in capsys.readouterr().out
    assert (tmp_path / "summary.md").read_text() == "as it was"
