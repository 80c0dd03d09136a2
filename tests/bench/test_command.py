"""The command `taskrpc bench`."""

import pytest
import typer
from typer.testing import CliRunner

from taskrpc.bench.scenarios import SCENARIOS
from taskrpc.cli import bench


@pytest.fixture
def app() -> typer.Typer:
    """The command by itself; a second one keeps its name."""
    app = typer.Typer()
    app.callback()(lambda: None)
    bench.command(app)
    return app


def test_the_scenarios_are_listed_with_what_they_are(app: typer.Typer) -> None:
    lines = CliRunner().invoke(app, ["bench", "--list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)


def test_a_scenario_that_is_not_there_is_refused_with_a_way_to_find_one(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["bench", "--scenario", "nonsense"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "there is no scenario nonsense; taskrpc bench --list tells which there are" in result.output


def test_a_database_that_is_not_there_ends_the_command_with_a_sentence(app: typer.Typer) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nowhere"
    result = CliRunner().invoke(app, ["bench", "--quick", "--database-url", url])
    assert result.exit_code == 1
    assert result.output.startswith("taskrpc: ")


def test_the_command_prints_a_table_of_what_it_measured(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["bench", "--quick", "--scenario", "single-8"])
    assert result.exit_code == 0, result.output
    assert "| 8 executors, single calls |" in result.output
    assert "Microseconds of CPU" in result.output
