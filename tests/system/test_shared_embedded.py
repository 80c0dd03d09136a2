"""Servers of one machine that name one data directory share one embedded PostgreSQL, whoever of them ends."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.system.conftest import Serve
from tests.system.postgres import postmaster
from tests.system.processes import ServerProcess
from tests.system.waiting import Stopwatch, promised, until
from tests.system.wire import Wire, connection

TAKEOVER_SECONDS: Final = promised(5.0)


async def _two_on(data_dir: Path, spawn: Serve) -> tuple[ServerProcess, ServerProcess]:
    """Two servers that share a data directory: the one that owns PostgreSQL, and the other."""
    spawned = [await spawn("--data-dir", str(data_dir)) for _ in range(2)]
    servers = await asyncio.gather(*(server.ready() for server in spawned))
    owner = _parent(postmaster(data_dir))
    first, second = servers
    return (first, second) if owner == first.pid else (second, first)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def _succeeded(wire: Wire, method: str, **params: Any) -> Any:
    async def answered() -> Any:
        reply = await wire.call(method, **params)
        assert reply.status in {200, 503, 504}, reply
        return reply.result if reply.status == 200 else None

    return await until(answered)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_when_the_owner_of_the_embedded_postgres_ends_another_server_takes_it_over(
    data_dir: Path, spawn: Serve, number: signal.Signals
) -> None:
    owner, other = await _two_on(data_dir, spawn)
    async with connection(owner.url) as doomed, connection(other.url) as wire, connection(other.url) as polling:
        await doomed.call("awf.task/create-and-execute", id="before", definition="test/task")
        polling.send("awf.task/long-poll", taskDefinitions=["later/task"], timeout=60_000)
        await other.waiting(polls=1)
        owner.signal(number)
        await owner.ended()
        watch = Stopwatch()
        created = await _succeeded(wire, "awf.task/create-and-execute", definition="later/task")
        assert watch.seconds < TAKEOVER_SECONDS
        (polled,) = (await polling.receive()).result["resources"]
        kept = (await wire.call("awf.task/status", id="before")).result["resource"]
    assert polled["id"] == created["resource"]["id"]
    assert kept["status"] == "ready"
    assert _parent(postmaster(data_dir)) == other.pid


async def test_a_killed_embedded_postgres_is_started_again_by_its_owner(data_dir: Path, spawn: Serve) -> None:
    owner, other = await _two_on(data_dir, spawn)
    former = postmaster(data_dir)
    async with connection(owner.url) as here, connection(other.url) as there:
        await here.call("awf.task/create-and-execute", id="before", definition="test/task")
        watch = Stopwatch()
        os.kill(former, signal.SIGKILL)
        created = await _succeeded(here, "awf.task/create-and-execute", definition="test/task")
        poll = {"taskDefinitions": ["test/task"], "maxBatchSize": 2}
        tasks = (await _succeeded(there, "awf.task/long-poll", **poll))["resources"]
        assert watch.seconds < TAKEOVER_SECONDS
    assert [task["id"] for task in tasks] == ["before", created["resource"]["id"]]
