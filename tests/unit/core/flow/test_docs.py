"""The example of docs/flows.md: what the page says about it is true."""

import re
from pathlib import Path

from typer.testing import CliRunner

from taskrpc.cli import app
from taskrpc.core.flow.parse import parse_flow
from taskrpc.wire.yaml_reader import decode
from tests.flows.simulation import World

PAGE = (Path(__file__).parents[4] / "docs" / "flows.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_runs() -> None:
    world = World()
    execution = world.start(parse_flow(decode(block("yaml").encode())))
    world.settle()
    assert execution.states() == ["each SUCCESS", "say[Hello] SUCCESS", "say[Goodbye] SUCCESS", "tell SUCCESS"]
    assert execution.named("tell")[0].outputs == {"text": "Hello Ada"}


def test_the_answers_on_the_page_are_those_of_the_commands(tmp_path: Path) -> None:
    file = tmp_path / "greet.yaml"
    file.write_text(block("yaml"))
    checked = CliRunner().invoke(app, ["flow", "check", str(file)])
    assert checked.stdout.replace(str(file), "greet.yaml") in PAGE
    assert CliRunner().invoke(app, ["flow", "graph", str(file)]).stdout == block("mermaid")
    wrong = re.sub("message:", "mesage:", block("yaml")).replace("concurrencyLimit: 2", "concurrencyLimit: two")
    file.write_text(wrong.replace("'Hello'].value }}", "'Hello'].value | shout }}"))
    refused = CliRunner().invoke(app, ["flow", "check", str(file)])
    assert refused.stderr.replace(str(file), "wrong.yaml") in PAGE
