"""Caches of working directories: what one leaves for the next."""

import io
import os
import random
import tarfile
from typing import Any

import pytest

from tests.leaves.conftest import Bench
from tests.leaves.directories import Directory

COMMANDS = "scripts.shell.Commands"
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
