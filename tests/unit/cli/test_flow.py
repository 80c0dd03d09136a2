"""`taskrpc flow`: what it says about files."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from taskrpc.cli import app

RIGHT = """\
id: hello
namespace: company.team
tasks:
  - {id: greet, type: core.log.Log, message: "Hello {{ inputs.name ?? 'you' }}"}
"""
WRONG = """\
id: hello
namespace: company.team
tasks:
  - id: greet
    type: core.log.Log
    mesage: Hello
  - id: greet
    type: core.flow.Pause
    timeout: 5 minutes
"""


def flow_command(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["flow", *map(str, arguments)])


@pytest.fixture
def right(tmp_path: Path) -> Path:
    file = tmp_path / "right.yaml"
    file.write_text(RIGHT)
    return file


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    return file


def test_every_mistake_is_told_with_its_line(right: Path, wrong: Path) -> None:
    result = flow_command("check", right, wrong)
    assert result.exit_code == 1
    assert result.stdout == f"{right}: company.team.hello is right: 1 task\n"
    assert result.stderr.splitlines() == [
        f"{wrong}:4: tasks[0].message: is required",
        f"{wrong}:6: tasks[0].mesage: unknown property",
        f"{wrong}:7: tasks[1].id: the id greet is not unique; tasks[0] has it",
        f"{wrong}:9: tasks[1].timeout: '5 minutes' is not a duration like PT1M30S or P1D",
    ]


def test_flows_without_a_mistake_are_right(right: Path) -> None:
    assert flow_command("check", right, right).exit_code == 0


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: [\n")
    (tmp_path / "empty.yaml").write_text("")
    result = flow_command("check", broken, tmp_path / "empty.yaml", tmp_path / "missing.yaml")
    first, second, third = result.stderr.splitlines()
    assert first.startswith(f"{broken}:2: the body cannot be read as YAML")
    assert second.startswith(f"{tmp_path / 'empty.yaml'}: ")
    assert third == f"{tmp_path / 'missing.yaml'}: No such file or directory"


def test_a_flow_is_drawn(right: Path, wrong: Path) -> None:
    result = flow_command("graph", right)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "flowchart TD")
    assert 'n2["greet<br/>core.log.Log"]' in result.stdout
    refused = flow_command("graph", wrong)
    assert refused.exit_code == 1
    assert "tasks[0].mesage: unknown property" in refused.stderr
