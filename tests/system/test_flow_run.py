"""`taskrpc flow run` as a process: a flow on a service of its own, or on one that runs."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskrpc import AsyncClient
from taskrpc.app import Running
from tests.system.processes import run
from tests.system.waiting import DEADLINE_SECONDS, until

GREET = """\
id: greet
namespace: company.team
inputs:
  - {id: name, type: STRING, defaults: Ada}
  - {id: list, type: FILE, required: false}
tasks:
  - id: each
    type: core.flow.ForEach
    values: [Hello, Goodbye]
    tasks:
      - {id: say, type: core.log.Log, message: "{{ taskrun.value }}, {{ inputs.name }}"}
  - id: count
    type: scripts.shell.Commands
    inputFiles: {list.txt: "{{ inputs.list ?? 'nothing' }}"}
    commands: ['echo "::{\\"outputs\\":{\\"text\\":\\"$(cat list.txt)\\"}}::"']
afterExecution:
  - {id: after, type: core.log.Log, message: "{{ execution.state }}"}
outputs:
  - {id: text, type: STRING, value: "{{ outputs.count.vars.text }}"}
"""


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    file = tmp_path / "greet.yaml"
    file.write_text(GREET)
    return file


def _flow(place: Path, name: str, *tasks: str) -> Path:
    file = place / f"{name}.yaml"
    lines = "\n".join(f"  - {task}" for task in tasks)
    file.write_text(f"id: {name}\nnamespace: company.team\ntasks:\n{lines}\n")
    return file


async def test_a_flow_runs_on_the_embedded_service_with_the_reference_executor(greet: Path, place: Path) -> None:
    listed = place / "list of names.txt"
    listed.write_text("Ada and Grace")
    data = ("--data-dir", str(place / "data"))
    ended = await run("flow", "run", str(greet), "-i", "name=Grace", "-i", f"list=@{listed}", *data)
    assert (ended.status, ended.err) == (0, ""), ended
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert [line for line in lines if " s " not in line] == [
        "Hello, Grace", "Goodbye, Grace", "SUCCESS", "company.team.greet SUCCESS", "outputs:", "text: Ada and Grace",
    ]  # fmt: skip
    assert [line.split(" s ")[1] for line in lines if " s " in line] == [
        "each", "say [Hello]", "say [Goodbye]", "count", "after",
    ]  # fmt: skip


async def test_at_the_end_the_execution_is_printed_for_programs(greet: Path, place: Path) -> None:
    ended = await run("flow", "run", str(greet), "-o", "json", "--data-dir", str(place / "data"))
    status = json.loads(ended.out)
    assert (ended.status, status["resource"]["state"]) == (0, "SUCCESS")
    assert [each["taskId"] for each in status["taskRuns"]] == ["each", "say", "say", "count", "after"]
    assert "Hello, Ada" in ended.err


async def test_a_terminal_shows_a_tree(greet: Path, place: Path) -> None:
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskrpc", "flow", "run", str(greet), "--data-dir", str(place / "data"),
        stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(follower)
    try:
        shown = await asyncio.wait_for(asyncio.to_thread(_read_all, leader), DEADLINE_SECONDS)
        assert await process.wait() == 0, shown
    finally:
        os.close(leader)
        if process.returncode is None:
            process.kill()
    assert "├── each  " in shown
    assert "say [Hello]  " in shown


def _read_all(terminal: int) -> str:
    content = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end was closed
            return content.decode()
        if not piece:
            return content.decode()
        content += piece


async def test_a_flow_that_fails_or_cannot_run_ends_with_1(tmp_path: Path, place: Path) -> None:
    data = ("--data-dir", str(place / "data"))
    failing = _flow(tmp_path, "failing", "{id: fail, type: core.execution.Fail, errorMessage: it is so}")
    ended = await run("flow", "run", str(failing), *data)
    assert (ended.status, ended.out.splitlines()[-1]) == (1, "company.team.failing FAILED: it is so")
    wrong = _flow(tmp_path, "wrong", "{id: say, type: core.log.Log}")
    ended = await run("flow", "run", str(wrong), *data)
    assert (ended.status, ended.err) == (1, f"{wrong}:4: tasks[0].message: is required\n")
    needy = _flow(tmp_path, "needy", "{id: say, type: core.log.Log, message: x}")
    needy.write_text(needy.read_text() + "inputs:\n  - {id: n, type: INT}\n")
    ended = await run("flow", "run", str(needy), "-i", "n=many", *data)
    assert (ended.status, ended.err) == (1, 'taskrpc: invalid-params: params.n: "many" is not a whole number\n')
    ended = await run("flow", "run", str(needy), "-i", "n", *data)
    assert ended.status == 2
    assert "'n' is not NAME=VALUE" in ended.err


async def test_further_files_are_flows_that_the_first_one_starts(tmp_path: Path, place: Path) -> None:
    start = "{id: start, type: core.flow.Subflow, namespace: company.team, flowId: child}"
    files = [_flow(tmp_path, "parent", start), _flow(tmp_path, "child", "{id: say, type: core.log.Log, message: x}")]
    ended = await run("flow", "run", *map(str, files), "--data-dir", str(place / "data"))
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "company.team.parent SUCCESS"), ended


async def test_on_a_service_that_runs_its_executors_do_the_work(tmp_path: Path, service: Running) -> None:
    file = _flow(tmp_path, "worked", "{id: work, type: company/work, n: 1}")
    async with AsyncClient(service.url) as client, _run(file, "--url", service.url) as process:
        (task,) = (await client.long_poll(["company/work"], start=True))["resources"]
        assert task["params"]["n"] == 1
        await client.success(task["id"], task["execId"], {})
        out, _ = await process.communicate()
    assert (process.returncode, out.decode().splitlines()[-1]) == (0, "company.team.worked SUCCESS")


async def test_nobody_is_asked_to_resume_a_loop_that_waits(tmp_path: Path, service: Running) -> None:
    often = "checkFrequency: {interval: PT1S}, tasks: [{id: look, type: core.log.Log, message: no}]"
    file = _flow(
        tmp_path,
        "turns",
        f'{{id: turn, type: core.flow.WaitFor, condition: "{{{{ outputs.turn.iterationCount > 1 }}}}", {often}}}',
    )
    async with _run(file, "--url", service.url) as process:
        out, _ = await process.communicate()
    assert process.returncode == 0, out
    assert "paused" not in out.decode()


async def test_an_interrupt_kills_the_execution(tmp_path: Path, service: Running) -> None:
    file = _flow(tmp_path, "endless", "{id: wait, type: core.flow.Pause}")
    async with AsyncClient(service.url) as client, _run(file, "--url", service.url) as process:

        async def paused() -> bool:
            listed = (await client.workflow_list())["resources"]
            return bool(listed and listed[0].get("state") == "PAUSED")

        await until(paused)
        assert process.stdout is not None
        hint = (await process.stdout.readline()).decode()
        (execution,) = (await client.workflow_list())["resources"]
        assert hint.strip().endswith(f"taskrpc call workflow/resume id={execution['id']} --url {service.url}")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        ended = await client.workflow_result(execution["id"], timeout=5000)
    assert (ended["resource"]["status"], ended["resource"]["state"]) == ("done", "KILLED")


@asynccontextmanager
async def _run(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskrpc", "flow", "run", *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
