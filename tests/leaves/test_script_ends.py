"""Commands and scripts that take too long, are stopped or canceled: nothing of them lives on."""

import asyncio
import os
import signal

import pytest

from tests.leaves.conftest import Bench
from tests.leaves.processes import gone, written

COMMANDS = "scripts.shell.Commands"


async def test_a_task_that_takes_too_long_is_ended_with_all_its_processes(bench: Bench) -> None:
    pids = bench.directory / "pids"
    error = await bench.error(
        COMMANDS,
        timeout="PT0.5S",
        commands=["echo before; echo kept > f", f"sleep 1000 & echo $$ $! > {pids}; wait"],
        outputFiles=["f"],
    )
    assert error["type"] == "timeout"
    assert error["message"] == "The task took longer than 0.5 s; its processes were ended"
    assert "exitCode" not in error["data"]["outputs"]
    assert error["data"]["outputs"]["stdOutLineCount"] == 1
    assert list(error["data"]["outputs"]["outputFiles"]) == ["f"]
    await gone(*await written(pids))


async def test_a_task_that_is_asked_to_stop_is_ended_with_all_its_processes(bench: Bench) -> None:
    pids = bench.directory / "pids"
    await bench.client.definition_put(COMMANDS, {"allowedRetryCount": 1, "inProgressTimeout": 300})
    id = await bench.begin(
        COMMANDS, commands=[f"trap 'echo stopping' TERM; sleep 1000 & echo $$ $! > {pids}; wait; wait"]
    )
    started = await written(pids)
    await bench.client.stop(id)
    ended = (await bench.client.result(id, timeout=20_000))["resource"]
    assert ended["outcome"] == "canceled"
    await gone(*started)


async def test_a_process_that_ignores_the_request_to_end_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc_executors.flows.process.GRACE_SECONDS", 0.1)
    pids = bench.directory / "pids"
    commands = [f"trap '' TERM; echo $$ > {pids}; while true; do sleep 0.1; done"]
    assert (await bench.error(COMMANDS, timeout="PT0.3S", commands=commands))["type"] == "timeout"
    await gone(*await written(pids))


async def test_a_task_that_is_canceled_is_ended_at_once(bench: Bench) -> None:
    pids = bench.directory / "pids"
    await bench.client.definition_put(COMMANDS, {"inProgressTimeout": 300})
    id = await bench.begin(COMMANDS, commands=[f"trap '' TERM; echo $$ > {pids}; while true; do sleep 0.1; done"])
    started = await written(pids)
    await bench.client.cancel(id)
    await gone(*started)


async def test_what_was_left_in_the_background_ends_with_the_task(bench: Bench) -> None:
    pids = bench.directory / "pids"
    outputs = await bench.outputs(COMMANDS, commands=[f"sleep 1000 & echo $! > {pids}", "echo done"])
    assert (outputs["exitCode"], outputs["stdOutLineCount"]) == (0, 1)
    await gone(*await written(pids))


async def test_a_process_that_left_its_group_does_not_hold_the_task_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskrpc_executors.flows.process._LAST_WORDS_SECONDS", 0.2)
    pids = bench.directory / "pids"
    commands = [f"setsid sh -c 'echo $$ > {pids}; exec sleep 1000' &", f"while ! [ -s {pids} ]; do sleep 0.01; done"]
    async with asyncio.timeout(15):
        assert (await bench.outputs(COMMANDS, commands=commands))["exitCode"] == 0
    (escaped,) = await written(pids)
    os.kill(escaped, signal.SIGKILL)
