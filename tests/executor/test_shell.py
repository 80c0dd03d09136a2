"""The executor in bash and curl, as a real process against the real service."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taskrpc import AsyncClient
from tests.executor.conftest import DEADLINE, DEFINITION, create, done, resource_of
from tests.system.waiting import until

SCRIPT = Path(__file__).parents[2] / "executors" / "shell" / "executor.sh"


@asynccontextmanager
async def shell_executor(url: str, *command: str) -> AsyncIterator[Process]:
    """The script at work, with this command for each task."""
    process = await asyncio.create_subprocess_exec(SCRIPT, DEFINITION, *command, env={"TASKRPC_URL": url, "PATH": PATH})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE)


PATH = "/usr/local/bin:/usr/bin:/bin"


async def test_the_output_of_the_command_is_the_result(url: str, client: AsyncClient) -> None:
    params = {"name": "Ada", "id": "a trap", "list": [{"id": "another", "execId": "trap"}], "text": "- x\nid: y\n"}
    async with shell_executor(url, "grep", "-A1", "name") as process:
        for _ in range(3):
            resource = await done(client, await create(client, params))
            assert resource["outcome"] == "succeeded"
            assert resource["result"]["output"].splitlines()[0].strip() == "name: Ada"
        assert process.returncode is None


async def test_any_output_is_sent_as_text(url: str, client: AsyncClient) -> None:
    printed = r"'  \ta: [b\n\n  # no: comment\n\r\a\0\377 - \303\244 '"
    async with shell_executor(url, "sh", "-c", f"printf {printed}"):
        resource = await done(client, await create(client))
    assert resource["result"] == {"output": "  \ta: [b\n\n  # no: comment\n - ä "}


async def test_a_command_without_output_succeeds(url: str, client: AsyncClient) -> None:
    async with shell_executor(url, "true"):
        resource = await done(client, await create(client))
    assert resource["result"] == {"output": ""}


async def test_a_command_that_fails_fails_the_task(url: str, client: AsyncClient) -> None:
    await client.definition_put(DEFINITION, {"allowedRetryCount": 1})
    async with shell_executor(url, "sh", "-c", "echo 'no: paper' >&2; exit 3"):
        resource = await done(client, await create(client))
    assert resource["outcome"] == "failed"
    assert resource["error"] == {"status": 3, "message": "no: paper"}


async def test_no_process_is_left_behind(url: str, client: AsyncClient) -> None:
    process = await asyncio.create_subprocess_exec(
        SCRIPT, DEFINITION, "sleep", "0.3", env={"TASKRPC_URL": url, "PATH": PATH}, start_new_session=True
    )
    await done(client, await create(client))
    process.terminate()
    await asyncio.wait_for(process.wait(), DEADLINE)

    async def group_is_gone() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 0)
            return False
        return True

    await until(group_is_gone)


async def test_heartbeats_keep_the_task_alive(url: str, client: AsyncClient, tmp_path: Path) -> None:
    await client.definition_put(DEFINITION, {"inProgressTimeout": 900, "allowedRetryCount": 1})
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    async with shell_executor(url, "sh", "-c", wait):
        id = await create(client)

        async def heartbeats() -> bool:
            log = (await client.status(id, include_log=True))["log"]
            return len([entry for entry in log if entry["action"] == "awf.task/notify"]) >= 4

        await until(heartbeats)
        (tmp_path / "go").touch()
        resource = await done(client, id)
    assert (resource["outcome"], resource["retryCount"]) == ("succeeded", 1)


async def test_the_command_of_a_canceled_task_is_ended(url: str, client: AsyncClient, tmp_path: Path) -> None:
    await client.definition_put(DEFINITION, {"inProgressTimeout": 900, "allowedRetryCount": 1})
    trap = f"trap 'touch {tmp_path}/ended; exit' TERM; touch {tmp_path}/began; while :; do sleep 0.05; done"
    async with shell_executor(url, "sh", "-c", trap):
        id = await create(client)
        await until(lambda: asyncio.to_thread((tmp_path / "began").exists))
        await client.cancel(id)
        await until(lambda: asyncio.to_thread((tmp_path / "ended").exists))
        assert (await resource_of(client, id))["outcome"] == "canceled"


async def test_a_signal_hands_the_task_back(url: str, client: AsyncClient, tmp_path: Path) -> None:
    async with shell_executor(url, "sh", "-c", f"touch {tmp_path}/began; exec sleep 1000") as process:
        id = await create(client)
        await until(lambda: asyncio.to_thread((tmp_path / "began").exists))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert (await resource_of(client, id))["status"] == "ready"


async def test_a_signal_ends_an_idle_executor(url: str, client: AsyncClient) -> None:
    async with shell_executor(url, "true") as process:
        await done(client, await create(client))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
