"""What `taskrpc work` asks for before it begins."""

from typer.testing import CliRunner

from taskrpc.cli import app


def test_work_says_what_it_needs_to_know() -> None:
    refused = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["work"])
    assert refused.exit_code == 2
    assert "--database-url for imports, --flows, or both" in refused.stderr
