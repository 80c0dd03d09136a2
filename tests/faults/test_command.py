"""What the command refuses before anything is started."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.command import command
from tests.faults.one_database import ONE_DATABASE
from tests.faults.plan import Lane
from tests.faults.run import Scenario

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
