"""`taskrpc serve` and `migrate` with something wrong: one clear line, a status of 1 or 2, no traceback."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from taskrpc import app
from taskrpc.errors import TaskRpcError
from tests.databases import in_database
from tests.services import running_service
from tests.system.conftest import Serve
from tests.system.processes import run
from tests.system.wire import connection

NOWHERE: Final = "postgresql://127.0.0.1:1/nowhere"

FILES: Final = {
    "syntax": ("test/task:\n  retryDelay: [5,\n", "(line 3, column 1)"),
    "field": ("test/task: {}\n\nother/task:\n  retryDelay: 5\n  inProgressTimeout: soon\n", "line 5: other/task: inP"),
    "unknown field": ("test/task:\n  retries: 5\n", "line 2: test/task: retries: is not known here"),
    "deep field": ("a.b/c:\n  retryBackoff:\n    factor: 0\n", "line 3: a.b/c: retryBackoff.factor: "),
    "no mapping": ("test/task: {}\nother/task: 5\n", "line 2: other/task: the fields of a definition are a mapping"),
    "a list": ("- test/task\n", 'this is ["test/task"]; a mapping of definitions\' names to their fields is expected'),
    "nothing": ("# later\n", "definitions.yaml: the file is empty; a mapping of definitions' names"),
    "a flow": (
        "id: greet\nnamespace: company\ntasks:\n- id: say\n  type: core.log.Log\n",
        "line 4: tasks[0].message: is r",
    ),
    "a tag": ("test/task: !!python/object {}\n", "(line 1, column 12)"),
}
SETTINGS: Final = {
    "--log-format": ("xml", "log_format: Input should be 'text' or 'json', not \"xml\""),
    "--log-level": ("loud", "log_level: Input should be 'debug', 'info', 'warning' or 'error', not \"loud\""),
    "--max-body": ("5", "max_body: Input should be greater than or equal to 1024, not 5"),
    "--port": ("99999", "port: Input should be less than or equal to 65535, not 99999"),
}


async def _refusal(*arguments: str, status: int = 1, **environment: str) -> str:
    """The one line that a command says before it ends."""
    ended = await run(*arguments, **environment)
    assert (ended.status, ended.out) == (status, ""), ended
    assert ended.err.startswith("taskrpc: ")
    assert ended.err.count("\n") == 1
    return ended.err.removeprefix("taskrpc: ").strip()


@contextlib.contextmanager
def _taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def test_a_port_that_is_taken_is_named(database_url: str) -> None:
    with _taken_port() as port:
        refusal = await _refusal("serve", "--database-url", database_url, "--port", str(port))
    assert refusal.startswith(f"Cannot listen on 127.0.0.1:{port}: Address already in use")
    assert refusal.endswith("; try another --port")


async def test_an_address_that_others_can_reach_is_refused_unless_it_is_said_to_be_insecure(
    database_url: str, serve: Serve
) -> None:
    refusal = await _refusal("serve", "--database-url", database_url, "--host", "0.0.0.0")
    server = await serve(database_url, "--host", "0.0.0.0", "--insecure")
    async with connection(server.url) as wire:
        created = await wire.call("awf.task/create-and-execute", definition="test/task")
    assert refusal.startswith("0.0.0.0 can be reached from outside")
    assert "--insecure" in refusal
    assert created.status == 200


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
async def test_a_bad_file_of_definitions_is_named_with_its_line(
    database_url: str, tmp_path: Path, content: str, expected: str
) -> None:
    file = tmp_path / "definitions.yaml"
    file.write_text(content)
    refusal = await _refusal("serve", "--port", "0", "--database-url", database_url, "--definitions", str(tmp_path))
    assert refusal.startswith(f"{file}")
    assert expected in refusal


async def test_a_file_of_definitions_that_is_not_there_is_named(database_url: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.yaml")
    refusal = await _refusal("serve", "--port", "0", "--database-url", database_url, "--definitions", missing)
    assert refusal == f"{missing}: No such file or directory"


@pytest.mark.parametrize("flag", SETTINGS)
async def test_a_value_that_a_setting_cannot_have_is_named(flag: str) -> None:
    value, expected = SETTINGS[flag]
    assert await _refusal("serve", flag, value, status=2) == expected
    variable = f"TASKRPC_{flag.removeprefix('--').replace('-', '_').upper()}"
    assert await _refusal("serve", status=2, **{variable: value}) == expected


@pytest.mark.parametrize("arguments", [("--port", "abc"), ("--bogus",)], ids=["no number", "unknown"])
async def test_a_flag_that_cannot_be_read_is_named(arguments: tuple[str, ...]) -> None:
    ended = await run("serve", *arguments)
    assert ended.status == 2
    assert arguments[0] in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",)], ids=["serve", "migrate"])
async def test_a_database_that_does_not_exist_is_named(database_url: str, command: tuple[str, ...]) -> None:
    refusal = await _refusal(*command, "--database-url", in_database(database_url, "nothing"))
    assert refusal.endswith('database "nothing" does not exist')


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",)], ids=["serve", "migrate"])
async def test_a_url_that_is_not_of_postgresql_is_refused(command: tuple[str, ...]) -> None:
    refusal = await _refusal(*command, "--database-url", "mysql://127.0.0.1/x")
    assert "postgresql" in refusal


async def test_migrate_says_that_a_database_cannot_be_reached() -> None:
    assert "Connect call failed" in await _refusal("migrate", "--database-url", NOWHERE)


async def test_serve_says_that_a_database_cannot_be_reached_when_its_patience_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "_PATIENCE_AT_START_SECONDS", 0)
    with pytest.raises(TaskRpcError, match="The database cannot be reached: ") as refused:
        async with running_service(NOWHERE):
            pass
    assert refused.value.type == "unavailable"
