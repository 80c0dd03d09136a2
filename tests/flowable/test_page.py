"""The page that teaches flows is true: every flow on it is right, and every run ends as it says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from taskrpc.cli import app
from taskrpc.core.flow.graph import mermaid
from taskrpc.core.flow.parse import parse_flow
from taskrpc.wire.yaml_reader import decode
from tests.flowable.conftest import Stage
from tests.flowable.page import CHECK, PAGE, RUN, Example, examples, flows, shown, without_durations

RIGHT = {id: text for id, text in flows().items() if id != "wrong"}


@pytest.mark.parametrize("id", RIGHT)
def test_a_flow_of_the_page_is_right(id: str) -> None:
    assert parse_flow(decode(RIGHT[id].encode())).id == id


@pytest.mark.parametrize("example", examples(RUN), ids=lambda example: example.command.removeprefix(RUN))
async def test_a_run_of_the_page_ends_as_it_says(example: Example, stage: Stage) -> None:
    await stage.put(*example.files[1:])
    id = await stage.begin(example.files[0], **example.inputs)
    await stage.client.workflow_result(id, timeout=30_000)
    status = await stage.client.workflow_status(id, include_task_runs=True, include_log=True)
    assert without_durations(shown(status)) == without_durations(example.output)


def test_the_mistakes_of_the_page_are_those_that_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = examples(CHECK)
    (tmp_path / "wrong.yaml").write_text(example.files[0])
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["flow", "check", "wrong.yaml"]).output.rstrip("\n") == example.output


def test_the_picture_of_the_page_is_that_of_its_flow() -> None:
    assert f"```mermaid\n{mermaid(parse_flow(decode(RIGHT['greet'].encode())))}```" in PAGE.read_text()


def test_the_page_has_examples() -> None:
    assert len(examples(RUN)) >= 5
    assert len(RIGHT) >= 8
