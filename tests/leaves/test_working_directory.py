"""Working directories: the test is the flow engine, which sends a directory its tasks one by one."""

import asyncio
import io
import itertools
import os
import random
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.executor.conftest import create, done, resource_of
from tests.executor.workshop import empty_workshop
from tests.leaves.conftest import Bench
from tests.leaves.processes import gone, written
from tests.system.waiting import until

TYPE = "core.flow.WorkingDirectory"
COMMANDS = "scripts.shell.Commands"
FILES = "core.storage.LocalFiles"
_numbers = itertools.count()


@dataclass
class Directory:
    """A directory that was sent, and its tasks."""

    bench: Bench
    id: str
    queue: str

    @classmethod
    async def begin(cls, bench: Bench, place: dict[str, Any] | None = None, **properties: Any) -> "Directory":
        run = f"run-{next(_numbers)}"
        queue = f"working-directory:{run}"
        await bench.client.definition_put(queue, {"allowedRetryCount": 1})
        execution = {"taskRunId": run, "namespace": "company.team"} | (place or {})
        return cls(bench, await create(bench.client, {**properties, "$execution": execution}, TYPE), queue)

    async def child(self, type: str, **properties: Any) -> Any:
        """A task in the directory, when it is done."""
        return await done(self.bench.client, await create(self.bench.client, {"type": type, **properties}, self.queue))

    async def outputs(self, type: str, **properties: Any) -> Any:
        ended = await self.child(type, **properties)
        assert ended["outcome"] == "succeeded", ended.get("error")
        return ended["result"]

    async def end(self) -> Any:
        """The directory task after its end was told."""
        told = await create(self.bench.client, {"$end": True}, self.queue)
        ended = await done(self.bench.client, self.id)
        assert (await done(self.bench.client, told))["outcome"] == "succeeded"
        return ended


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


CACHE = {"cache": "kestra:///cache/company.team/flow/dir.tar.gz"}
PATTERNS = {"patterns": ["node_modules/**"], "ttl": "PT1H"}


async def cached_run(bench: Bench, command: str, **further: Any) -> int:
    """The number of lines that a command wrote in a directory with a cache."""
    directory = await Directory.begin(bench, CACHE, cache=PATTERNS | further)
    lines: int = (await directory.outputs(COMMANDS, commands=[command]))["stdOutLineCount"]
    assert (await directory.end())["outcome"] == "succeeded"
    return lines


async def stored_at(bench: Bench) -> str | None:
    head = await bench.http.head("/files/cache/company.team/flow/dir.tar.gz")
    return head.headers.get("last-modified") if head.status_code == 200 else None


MAKE = """mkdir -p node_modules/.bin node_modules/colors; echo 1 > node_modules/colors/index.js; echo no > other
ln -sf ../colors/index.js node_modules/.bin/colors; ln -sfn colors node_modules/alias"""
LOOK = "cat node_modules/.bin/colors; cat node_modules/alias/index.js; cat other 2> /dev/null || true"


async def test_a_cache_is_there_the_next_time_links_included(bench: Bench) -> None:
    assert await cached_run(bench, "cat node_modules/x || true") == 0
    assert await stored_at(bench) is None
    await cached_run(bench, MAKE)
    assert await cached_run(bench, LOOK) == 2


async def test_a_cache_is_stored_again_only_if_something_changed(bench: Bench) -> None:
    await cached_run(bench, MAKE)
    stored = bench.directory / "storage/files/cache/company.team/flow/dir.tar.gz"
    os.utime(stored, (stored.stat().st_mtime - 60,) * 2)
    first = await stored_at(bench)
    await cached_run(bench, LOOK)
    assert await stored_at(bench) == first
    await cached_run(bench, "echo 2 >> node_modules/colors/index.js")
    assert await stored_at(bench) != first
    assert await cached_run(bench, LOOK) == 4


async def test_a_cache_that_is_too_old_is_made_anew(bench: Bench) -> None:
    await cached_run(bench, MAKE)
    stored = bench.directory / "storage/files/cache/company.team/flow/dir.tar.gz"
    os.utime(stored, (stored.stat().st_mtime - 3700,) * 2)
    assert await cached_run(bench, "ls node_modules 2> /dev/null || true", ttl="PT2H") == 2
    assert await cached_run(bench, "ls node_modules 2> /dev/null || true") == 0


def damaged(*, packed: bool) -> bytes:
    """An archive of two files, with garbage in the second, which can be packed or not."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name in ("node_modules/first", "node_modules/second"):
            content = random.Random(name).randbytes(200_000)
            content = content.hex().encode() if packed else content
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    archive = bytearray(made.getvalue())
    archive[-100_000:-99_900] = b"\xff" * 100
    return bytes(archive)


DAMAGED = [b"no archive", b"", b"\x1f\x8b\x08\x00", damaged(packed=True), damaged(packed=False)]


@pytest.mark.parametrize("content", DAMAGED, ids=range(5))
async def test_a_cache_that_is_damaged_is_done_without(bench: Bench, content: bytes) -> None:
    await bench.store("cache/company.team/flow/dir.tar.gz", content)
    assert await cached_run(bench, "find . -name node_modules -o -name first") == 0
    await bench.store("cache/company.team/flow/dir.tar.gz", content)
    await cached_run(bench, MAKE)
    assert await cached_run(bench, LOOK) == 2


async def test_an_archive_that_would_write_elsewhere_is_done_without(bench: Bench) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        entry = tarfile.TarInfo("../escaped")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    await bench.store("cache/company.team/flow/dir.tar.gz", made.getvalue())
    assert await cached_run(bench, "ls -A .. | grep escaped || true") == 0


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
    """What the flow engine does then: the task fails by its time-out, and the engine sends it again, with another
    queue."""
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
        again = await Directory.begin(bench, {"queue": "working-directory:run.2"}, inputFiles={"n": "1"})
        again.queue = "working-directory:run.2"
        shown = await again.outputs(FILES, outputs=["n"])
        assert await bench.content(shown["uris"]["n"]) == b"1"
        assert (await again.end())["outcome"] == "succeeded"
        second.terminate()
        assert await second.wait() == 0
