"""`taskrpc call`: how a line of words becomes a request, and what comes back of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from taskrpc.app import Running
from taskrpc.cli import call, work
from taskrpc.wire.codecs import YAML

app = typer.Typer()
for part in (call, work):
    part.command(app)


async def invoke(service: Running | None, *words: str, **options: Any) -> Any:
    """Run the command against the service, in a thread, since it blocks."""
    environment = {"TASKRPC_URL": service.url if service else "http://127.0.0.1:9", "COLUMNS": "200"}
    runner = CliRunner(env=environment)
    return await asyncio.to_thread(lambda: runner.invoke(app, ["call", *words], **options))


def answer(result: Any) -> Any:
    return YAML.decode(result.stdout.encode())


async def test_a_task_is_created_with_nested_params(service: Running) -> None:
    words = ["task/create-and-execute", "definition=test/d", "params.input.url=file:///x", "params.input.n=3"]
    result = await invoke(service, *words, "params.list=[1, no]", "label=Note: this", "priority=-1")
    assert result.exit_code == 0
    resource = answer(result)["resource"]
    assert resource["params"] == {"input": {"url": "file:///x", "n": 3}, "list": [1, "no"]}
    assert (resource["label"], resource["priority"]) == ("Note: this", -1)


async def test_the_answer_is_json_on_request(service: Running) -> None:
    result = await invoke(service, "awf.task/list", "count=5", "-o", "json")
    assert json.loads(result.stdout) == {"resources": [], "total": 0}


@pytest.mark.parametrize(
    "content", ["definition: test/d\nparams: {a: 1}\n", '{"definition":"test/d",\t"params":{"a":1}}']
)
async def test_params_come_from_a_file_and_values_replace_them(service: Running, tmp_path: Path, content: str) -> None:
    (tmp_path / "params").write_text(content)
    result = await invoke(service, "task/create-and-execute", "params.b=2", "-f", str(tmp_path / "params"))
    assert answer(result)["resource"]["params"] == {"a": 1, "b": 2}


async def test_a_whole_request_comes_from_standard_input(service: Running) -> None:
    request = "method: awf.task/create-and-execute\nparams:\n  definition: test/d\n"
    result = await invoke(service, "-f", "-", "label=mine", input=request)
    assert answer(result)["resource"]["label"] == "mine"


async def test_an_error_is_printed_and_is_the_exit_status(service: Running) -> None:
    result = await invoke(service, "task/status", "id=no-such-task")
    assert result.exit_code == 1
    assert answer(result)["error"]["type"] == "task-not-found"
    assert result.stderr.startswith("taskrpc: task-not-found: ")


async def test_a_service_that_cannot_be_reached_is_an_error(unused_tcp_port: int) -> None:
    result = await invoke(None, "task/list", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert result.exit_code == 1
    assert answer(result)["error"]["type"] == "unavailable"
    assert str(unused_tcp_port) in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a METHOD"),
        (["label=x"], "name a METHOD"),
        (["task/list", "count"], "'count' is not NAME=VALUE"),
        (["task/list", "=5"], "is not NAME=VALUE"),
        (["task/list", "a..b=5"], "is not NAME=VALUE"),
        (["task/list", "a=5", "a.b=5"], "a has a value already"),
        (["task/list", "a={b: [}"], "{b: [}: "),
        (["task/list", "-f", "no-such-file"], "No such file"),
        (["task/list", "--url", "localhost"], "no address of a service"),
    ],
)
async def test_words_that_make_no_request_are_refused(words: list[str], said: str) -> None:
    result = await invoke(None, *words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "", "params: {}"])
async def test_a_file_that_is_no_request_is_refused(content: str) -> None:
    result = await invoke(None, "-f", "-", input=content)
    assert result.exit_code == 2
