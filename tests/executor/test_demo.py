"""`taskrpc demo` and `taskrpc work` as processes: from nothing to imported rows, and in good order to the end."""

import asyncio
import gzip
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from taskrpc_executors import BulkImport
from taskrpc_executors.resource_table import count_resources

from taskrpc import AsyncClient
from tests.executor.conftest import DEADLINE, done


@asynccontextmanager
async def taskrpc(*words: str | Path) -> AsyncIterator[Process]:
    """The command at work; killed if the test leaves it behind."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "taskrpc", *words, stdout=PIPE, stderr=STDOUT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output_until(process: Process, mark: str) -> str:
    """What the process prints up to the line that holds `mark`."""
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(DEADLINE):
        while mark not in printed:
            line = await process.stdout.readline()
            assert line, printed
            printed += line.decode()
    return printed


async def demo(*words: str | Path) -> tuple[int | None, str]:
    """Exit status and output of a demo that ends by itself."""
    async with taskrpc("demo", "--exit", *words) as process:
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    return process.returncode, output.decode()


async def test_the_demo_imports_its_sample_every_time_anew(place: Path) -> None:
    for _ in range(2):
        status, output = await demo("--data-dir", place)
        assert status == 0, output
        assert re.search(r"Encounter +succeeded +3,000 rows", output)
        assert re.search(r"Observation +6,000 rows\n +Organization +40 rows\n +Patient +1,500 rows", output)


async def test_the_demo_tells_what_could_not_be_imported(place: Path) -> None:
    bad, empty = place / "all of it.ndjson", place / "Group.ndjson"
    bad.write_text('{"resourceType": "Patient", "id": "p"}\n{"resourceType": "Encounter", "id": "e"}')
    empty.touch()
    status, output = await demo("--data-dir", place / "data", "--input", bad, "--input", empty)
    assert status == 1
    assert "line 2: resourceType is 'Encounter', expected 'Patient'" in " ".join(output.split())
    assert re.search(r"Group +succeeded +0 rows", output)
    assert re.search(r"Group +0 rows\n +Patient +0 rows", output)
    assert "create-and-execute" not in output
    assert "WARNING" not in output


async def test_an_input_that_cannot_be_is_refused_before_anything_starts(place: Path) -> None:
    status, output = await demo("--data-dir", place / "data", "--input", place / "Patient.ndjson")
    assert status == 2
    assert "no such file" in output
    assert not (place / "data").exists()


async def test_the_call_that_the_demo_suggests_works_and_ctrl_c_ends_it(place: Path) -> None:
    async with taskrpc("demo", "--data-dir", place) as process:
        printed = await output_until(process, "Ctrl-C")
        suggested = printed[printed.index("curl") : printed.index("and see what")]
        curl = await asyncio.create_subprocess_shell(suggested, stdout=PIPE)
        answer, _ = await asyncio.wait_for(curl.communicate(), DEADLINE)
        assert b"status: ready" in answer
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert (place / "postgres/cluster/PG_VERSION").exists()
    assert not (place / "postgres/cluster/postmaster.pid").exists()


async def test_work_imports_for_a_service(url: str, client: AsyncClient, database_url: str, place: Path) -> None:
    file = place / "Patient.ndjson.gz"
    file.write_bytes(gzip.compress(json.dumps({"resourceType": "Patient", "id": "p"}).encode()))
    params = {"type": "aidbox", "input": {"url": file.as_uri(), "resourceType": "Patient"}}
    created = await client.create_and_execute(BulkImport.DEFINITION, params)
    words: list[str | Path] = ["--url", url, "--database-url", database_url, "--allow-files", place]
    async with taskrpc("work", *words) as process:
        assert (await done(client, created["resource"]["id"]))["outcome"] == "succeeded"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert await count_resources(database_url) == {"Patient": 1}


@pytest.mark.parametrize(("database_url", "status"), [("postgresql://127.0.0.1:1/none", 1), ("no address", 2)])
async def test_work_says_at_once_that_its_database_cannot_be_reached(database_url: str, status: int) -> None:
    async with taskrpc("work", "--database-url", database_url) as process:
        await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == status
