"""Working directories: the test is the flow engine, which sends a directory its tasks one by one."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Clock
from tests.executor.conftest import create, done, resource_of
from tests.executor.workshop import empty_workshop
from tests.leaves.conftest import Bench
from tests.leaves.directories import TYPE, Directory
from tests.leaves.processes import gone, written
from tests.system.waiting import until

COMMANDS = "scripts.shell.Commands"
FILES = "core.storage.LocalFiles"


async def test_tasks_share_a_directory_one_after_the_other(bench: Bench) -> None:
    directory = await Directory.begin(bench, inputFiles={"in.txt": "hello"}, outputFiles=["*.txt"])
    first = await directory.outputs(COMMANDS, commands=["cat in.txt > $WORKING_DIR/stay.txt"])
    second = await directory.outputs(
        f"io.kestra.plugin.{COMMANDS}",
        commands=["""echo '::{"outputs": {"stay":"'$(cat $WORKING_DIR/stay.txt)'"}}::'"""],
        taskRunner={"type": "io.kestra.plugin.core.runner.Process"},
    )
    third = await directory.outputs(FILES, inputs={"more.txt": "$WORKING_DIR"}, outputs=["stay.*"])
    ended = await directory.end()
    assert (first["exitCode"], second["vars"], list(third["uris"])) == (0, {"stay": "hello"}, ["stay.txt"])
    assert ended["outcome"] == "succeeded"
    outputs = ended["result"]["outputFiles"]
    assert sorted(outputs) == ["in.txt", "more.txt", "stay.txt"]
    assert await bench.content(outputs["stay.txt"]) == b"hello"
    assert not os.access((await bench.content(outputs["more.txt"])).decode(), os.F_OK)


async def test_directories_know_nothing_of_each_other(bench: Bench) -> None:
    directories = [await Directory.begin(bench, inputFiles={"n": number}) for number in range(3)]
    for command in ("echo more >> n", "wc -l < n > lines", "echo more >> n"):
        await asyncio.gather(*(each.outputs(COMMANDS, commands=[command]) for each in directories))
    shown = await asyncio.gather(*(each.outputs(FILES, outputs=["n"]) for each in directories))
    contents = [await bench.content(each["uris"]["n"]) for each in shown]
    assert contents == [b"%dmore\nmore\n" % number for number in range(3)]
    assert [each["outcome"] for each in await asyncio.gather(*(each.end() for each in directories))] == [
        "succeeded"
    ] * 3


async def test_a_directory_is_served_although_the_executor_has_no_slot_left(bench: Bench) -> None:
    directory = await Directory.begin(bench)
    go = bench.directory / "go"
    waiting = [
        await bench.begin(COMMANDS, commands=[f"while ! [ -e {go} ]; do sleep 0.05; done"]) for _ in range(6)
    ]  # of which four run, and two are queued
    await until(lambda: _runs(bench, waiting, 4))
    assert (await directory.outputs(COMMANDS, commands=["echo here"]))["stdOutLineCount"] == 1
    assert (await directory.end())["outcome"] == "succeeded"
    go.touch()
    assert [(await done(bench.client, id))["outcome"] for id in waiting] == ["succeeded"] * 6


async def _runs(bench: Bench, ids: list[str], count: int) -> bool:
    statuses = [(await resource_of(bench.client, id))["status"] for id in ids]
    return statuses.count("in-progress") == count


async def test_a_task_that_fails_leaves_the_directory_to_the_others(bench: Bench) -> None:
    directory = await Directory.begin(bench, outputFiles=["made"])
    failed = await directory.child(COMMANDS, commands=["echo x > made", "false"])
    assert (failed["outcome"], failed["error"]["type"]) == ("failed", "exit-code")
    unknown = await directory.child("core.log.Log", message="x")
    assert "type: scripts.shell.Commands, " in unknown["error"]["message"]
    assert (await directory.outputs(COMMANDS, commands=["cat made"]))["stdOutLineCount"] == 1
    assert list((await directory.end())["result"]["outputFiles"]) == ["made"]


async def test_a_child_has_its_own_place_for_files_and_else_that_of_the_directory(bench: Bench) -> None:
    directory = await Directory.begin(bench, {"files": {"prefix": "kestra:///e/dir/"}}, inputFiles={"a": "x"})
    own = {"files": {"prefix": "kestra:///e/child/"}}
    assert (await directory.outputs(FILES, outputs=["a"], **{"$execution": own}))["uris"] == {
        "a": "kestra:///e/child/a"
    }
    assert (await directory.outputs(FILES, outputs=["a"]))["uris"] == {"a": "kestra:///e/dir/a"}
    await directory.end()


async def test_namespace_files_come_from_the_namespace_of_the_flow(bench: Bench) -> None:
    await bench.client.namespace_file_put("company.team", "dir1/file1.txt", "one")
    await bench.client.namespace_file_put("company.team", "dir2/file2.txt", "two")
    directory = await Directory.begin(
        bench, namespaceFiles={"enabled": True, "include": ["dir1/*.*"], "exclude": ["dir2/*.*"]}
    )
    found = await directory.outputs(COMMANDS, commands=["cat dir1/file1.txt; echo", "! [ -e dir2 ]"])
    assert found["stdOutLineCount"] == 1
    await directory.end()


async def test_a_directory_that_is_asked_to_stop_ends_with_what_runs_in_it(bench: Bench) -> None:
    await bench.client.definition_put(TYPE, {"inProgressTimeout": 300, "allowedRetryCount": 1})
    pids = bench.directory / "pids"
    directory = await Directory.begin(bench)
    await create(bench.client, {"type": COMMANDS, "commands": [f"echo $$ > {pids}; sleep 1000"]}, directory.queue)
    started = await written(pids)
    await bench.client.stop(directory.id)
    assert (await done(bench.client, directory.id))["outcome"] == "canceled"
    await gone(*started)


async def test_a_directory_that_is_canceled_ends_with_what_runs_in_it(bench: Bench) -> None:
    await bench.client.definition_put(TYPE, {"inProgressTimeout": 300})
    pids = bench.directory / "pids"
    directory = await Directory.begin(bench)
    child = await create(
        bench.client, {"type": COMMANDS, "commands": [f"echo $$ > {pids}; sleep 1000"]}, directory.queue
    )
    started = await written(pids)
    await bench.client.cancel(directory.id)
    await gone(*started)

    async def handed_back() -> bool:
        return bool((await resource_of(bench.client, child))["status"] == "ready")

    await until(handed_back)


async def test_a_directory_that_was_given_up_meanwhile_carries_nothing_out(bench: Bench, clock: Clock) -> None:
    directory = await _given_up(bench, clock, inputFiles={"n": "1"})
    seen = bench.directory / "seen"
    task = await create(bench.client, {"type": COMMANDS, "commands": [f"cat n >> {seen}"]}, directory.queue)
    assert (await _taken(bench, task))["status"] == "ready"
    again = await Directory.begin(bench, {"taskRunId": directory.run}, inputFiles={"n": "2"})
    assert (await done(bench.client, task))["outcome"] == "succeeded"
    assert seen.read_text() == "2"
    await again.end()


async def test_the_end_is_not_heard_by_a_directory_that_was_given_up_meanwhile(bench: Bench, clock: Clock) -> None:
    directory = await _given_up(bench, clock)
    end = await create(bench.client, {"$end": True}, directory.queue)
    assert (await _taken(bench, end))["status"] == "ready"
    again = await Directory.begin(bench, {"taskRunId": directory.run})
    assert (await done(bench.client, again.id))["outcome"] == "succeeded"


async def _given_up(bench: Bench, clock: Clock, **properties: Any) -> Directory:
    """A directory that the service has given up; its executor will hear of that with its next heartbeat."""
    directory = await Directory.begin(bench, **properties)
    await directory.outputs(COMMANDS, commands=["true"])
    await clock.advance(121)
    bench.running.reaper.poke()
    assert (await done(bench.client, directory.id))["outcome"] == "failed"
    return directory


async def _taken(bench: Bench, task: str) -> dict[str, Any]:
    """A task that was handed out, when its executor is through with it."""

    async def settled() -> bool:
        log = (await bench.client.status(task, include_log=True))["log"]
        return bool({"awf.task/release", "awf.task/success", "awf.task/fail"} & {entry["action"] for entry in log})

    await until(settled)
    return await resource_of(bench.client, task)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "$execution.taskRunId: is required"),
        ({"$execution": {"taskRunId": "r"}, "cache": {"patterns": ["*"]}}, "$execution.cache: is required"),
        ({"$execution": {"taskRunId": "r"}, "cache": {"patterns": []}}, "cache.patterns: "),
        ({"$execution": {"taskRunId": "r"}, "inputFiles": {"../a": "x"}}, "inputFiles: "),
        ({"$execution": {"taskRunId": "r"}, "colour": 1}, "colour: is not known here"),
    ],
)
async def test_a_directory_that_cannot_be_made_fails(bench: Bench, properties: dict[str, Any], message: str) -> None:
    error = await bench.error(TYPE, **properties)
    assert error["type"] == "invalid-params"
    assert error["message"].startswith(message)


PROGRAM = """
import asyncio, sys
from taskrpc import Executor
from taskrpc_executors import FlowLeaves
executor = Executor(sys.argv[1])
FlowLeaves(sys.argv[1]).register(executor, 4)
executor.run()
"""


async def _executor(url: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, url, env=environment)


async def test_a_directory_whose_executor_was_killed_starts_anew_elsewhere(database_url: str, tmp_path: Path) -> None:
    """Without a flow: the task fails by its time-out, and is sent again."""
    async with empty_workshop(database_url, tmp_path) as at:
        bench = Bench(at.running, at.client, at.http, tmp_path)
        await bench.client.definition_put(TYPE, {"allowedRetryCount": 1, "inProgressTimeout": 500})
        killed = await _executor(bench.running.url)
        directory = await Directory.begin(bench, inputFiles={"n": "1"})
        await directory.outputs(COMMANDS, commands=["echo 2 >> n"])
        killed.kill()
        await killed.wait()
        lost = await done(bench.client, directory.id)
        assert (lost["outcome"], lost["outcomeReason"]["type"]) == (
            "failed",
            "awf.task/failed-due-to-in-progress-timeout",
        )
        second = await _executor(bench.running.url)
        again = await Directory.begin(bench, {"taskRunId": directory.run}, inputFiles={"n": "1"})
        shown = await again.outputs(FILES, outputs=["n"])
        assert await bench.content(shown["uris"]["n"]) == b"1"
        assert (await again.end())["outcome"] == "succeeded"
        second.terminate()
        assert await second.wait() == 0
