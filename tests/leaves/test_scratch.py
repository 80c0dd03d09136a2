"""Directories of tasks are gone with their process, however that ended."""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from taskrpc_executors.flows.scratch import Scratch

PROGRAM = """
import sys
from taskrpc_executors.flows.scratch import Scratch
scratch = Scratch()
directory = scratch.directory()
(directory / "left").mkdir()
print(directory, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories for tasks are made, here and in processes that are started."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


async def begun() -> tuple[asyncio.subprocess.Process, Path]:
    """A process that has made a directory and goes on."""
    pipe, environment = asyncio.subprocess.PIPE, os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdin=pipe, stdout=pipe, env=environment
    )
    assert process.stdout is not None
    return process, Path((await process.stdout.readline()).decode().strip())


async def ended(process: asyncio.subprocess.Process) -> None:
    await asyncio.wait_for(process.communicate(b""), 20)


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def test_a_process_that_ends_in_order_leaves_nothing(temporary: Path) -> None:
    process, directory = await begun()
    assert (directory / "left").is_dir()
    await ended(process)
    assert left_in(temporary) == []


async def test_what_a_killed_process_left_is_removed_by_the_next_and_what_others_use_is_not(temporary: Path) -> None:
    killed, left = await begun()
    other, used = await begun()
    killed.send_signal(signal.SIGKILL)
    await ended(killed)
    assert left.is_dir()
    own = Scratch().directory()
    assert (left.parent.exists(), used.is_dir(), own.parent.parent) == (False, True, temporary)
    await ended(other)


def test_what_only_has_such_a_name_does_no_harm(temporary: Path) -> None:
    (temporary / "taskrpc-work-file").touch()
    (temporary / "elsewhere").mkdir()
    (temporary / "taskrpc-work-link").symlink_to(temporary / "elsewhere")
    scratch = Scratch()
    assert scratch.directory() != scratch.directory()
    assert (temporary / "taskrpc-work-file").exists()
    assert (temporary / "elsewhere").is_dir()
