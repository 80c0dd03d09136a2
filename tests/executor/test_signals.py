"""Signals to a real executor process."""

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskrpc import AsyncClient
from tests.executor.conftest import DEADLINE, create, resource_of
from tests.system.waiting import until

PROGRAM = Path(__file__).with_name("program.py")


@asynccontextmanager
async def program(url: str, grace: float) -> AsyncIterator[Process]:
    """The program at work; killed if the test leaves it behind."""
    process = await asyncio.create_subprocess_exec(sys.executable, PROGRAM, url, str(grace))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def running_task(client: AsyncClient, file: Path) -> str:
    """The id of a task that the program carries out at this moment."""
    id = await create(client, {"file": str(file)})

    async def is_running() -> bool:
        return bool((await resource_of(client, id))["status"] == "in-progress")

    await until(is_running)
    return id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_running_task_finish(
    url: str, client: AsyncClient, tmp_path: Path, number: signal.Signals
) -> None:
    async with program(url, grace=DEADLINE) as process:
        id = await running_task(client, tmp_path / "go")
        process.send_signal(number)
        (tmp_path / "go").touch()
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert (await resource_of(client, id))["outcome"] == "succeeded"


async def test_after_the_grace_period_the_task_is_handed_back_whatever_its_thread_does(
    url: str, client: AsyncClient, tmp_path: Path
) -> None:
    async with program(url, grace=0.05) as process:
        id = await running_task(client, tmp_path / "never")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert (await resource_of(client, id))["status"] == "ready"


async def test_a_second_signal_ends_the_grace_period(url: str, client: AsyncClient, tmp_path: Path) -> None:
    async with program(url, grace=1000.0) as process:
        id = await running_task(client, tmp_path / "never")

        async def ended() -> bool:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            return process.returncode is not None

        await until(ended)
    assert (await resource_of(client, id))["status"] == "ready"
