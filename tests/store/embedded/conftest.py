"""Directories and processes for the tests of the embedded server; nothing of them is left after a test."""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.store.embedded.participant import Participant, eventually, processes_in


@pytest.fixture
def data_dir(place: Path) -> Path:
    """The path of a data directory that is not there yet."""
    return place / "data"


@pytest.fixture
def system_dir(place: Path) -> Path:
    """The path of a directory of the system for what a server's account cannot reach elsewhere."""
    return place / "system"


@pytest.fixture
async def participate(data_dir: Path, system_dir: Path) -> AsyncIterator[Callable[[], Awaitable[Participant]]]:
    """Starts one more process that takes part in the server of `data_dir`; all are killed after the test."""
    participants: list[Participant] = []

    async def start() -> Participant:
        participants.append(await Participant.start(data_dir, system_dir))
        return participants[-1]

    yield start
    for participant in participants:
        await participant.end(signal.SIGKILL)
    await eventually(lambda: not processes_in(data_dir))


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """The root of a file system of 16 MB, too small for a database; only root can make one."""
    with _mounted(place / "disk", "size=16m"):
        yield place / "disk"


@pytest.fixture
def read_only_disk(place: Path) -> Iterator[Path]:
    """The root of a file system that nobody can write, not even root."""
    with _mounted(place / "disk", "ro"):
        yield place / "disk"


@contextlib.contextmanager
def _mounted(directory: Path, options: str) -> Iterator[None]:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "taskrpc-test", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)
