"""Who runs the server: it is one for all processes, and it survives the death of any of them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from taskrpc.store.embedded import EmbeddedPostgres, server
from taskrpc.store.embedded.lock import FileLock
from tests.databases import connected
from tests.store.embedded.participant import (
    FAST,
    Participant,
    eventually,
    ids_of,
    postmaster_of,
    processes_in,
)
from tests.system.waiting import promised

StartParticipant = Callable[[], Awaitable[Participant]]


async def _reachable(url: str) -> bool:
    try:
        async with connected(url):
            return True
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _number_of_rows(url: str) -> int:
    async with connected(url) as connection:
        return int(await connection.fetchval("select count(*) from acknowledged"))


def _parent(pid: int) -> int:
    (parent,) = ids_of(pid)["PPid"]
    return int(parent)


def _roots(processes: list[int]) -> list[int]:
    """Those that were not started by another of them."""
    return [pid for pid in processes if _parent(pid) not in processes]


@contextlib.asynccontextmanager
async def _writing(url: str) -> AsyncIterator[list[int]]:
    """Commits rows one by one until the connection breaks; the list holds those that were acknowledged."""
    acknowledged: list[int] = []
    connection = await asyncpg.connect(url)
    await connection.execute("create table acknowledged (n int primary key)")

    async def write() -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            while True:
                await connection.execute("insert into acknowledged values ($1)", len(acknowledged))
                acknowledged.append(len(acknowledged))

    writer = asyncio.create_task(write())
    try:
        await eventually(lambda: len(acknowledged) >= 100)
        yield acknowledged
        await writer
    finally:
        writer.cancel()
        connection.terminate()


async def test_the_first_process_owns_the_server_and_the_next_joins_it(participate: StartParticipant) -> None:
    began = time.monotonic()
    first = await participate()
    first_took, began = time.monotonic() - began, time.monotonic()
    second = await participate()
    print(f"first start {first_took:.2f} s, join {time.monotonic() - began:.2f} s, with Python's own start")
    assert (first.role, second.role) == ("owner", "client")
    assert first.url == second.url
    assert await _reachable(second.url)


async def test_ten_processes_that_start_at_once_share_one_server(participate: StartParticipant, data_dir: Path) -> None:
    all_ten = await asyncio.gather(*(participate() for _ in range(10)))
    assert sorted(each.role for each in all_ten) == ["client"] * 9 + ["owner"]
    assert len({each.url for each in all_ten}) == 1
    await eventually(lambda: _roots(processes_in(data_dir)) == [postmaster_of(data_dir)])


async def test_a_client_takes_over_from_a_killed_owner_within_five_seconds(
    participate: StartParticipant,
) -> None:
    owner, client = await participate(), await participate()
    async with _writing(owner.url) as acknowledged:
        await owner.end(signal.SIGKILL)
        killed = time.monotonic()
    assert await client.line() == "owner"
    took = time.monotonic() - killed
    print(f"taken over in {took:.2f} s")
    assert took < promised(5.0)
    assert await _number_of_rows(client.url) in {len(acknowledged), len(acknowledged) + 1}


async def test_a_client_takes_over_from_an_owner_that_stops(participate: StartParticipant) -> None:
    owner, client = await participate(), await participate()
    async with _writing(owner.url) as acknowledged:
        assert await owner.end(signal.SIGTERM) == 0
    assert await client.line() == "owner"
    assert await _number_of_rows(client.url) in {len(acknowledged), len(acknowledged) + 1}


async def test_the_server_comes_back_when_its_postmaster_was_killed(
    participate: StartParticipant, data_dir: Path
) -> None:
    owner, client = await participate(), await participate()
    async with _writing(owner.url) as acknowledged:
        former = postmaster_of(data_dir)
        os.kill(former, signal.SIGKILL)
        killed = time.monotonic()
    await eventually(lambda: _reachable(client.url))
    print(f"back in {time.monotonic() - killed:.2f} s")
    assert await _number_of_rows(client.url) in {len(acknowledged), len(acknowledged) + 1}
    assert _parent(postmaster_of(data_dir)) == owner.pid
    assert postmaster_of(data_dir) != former


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_process_of_the_server_outlives_the_last_participant(
    participate: StartParticipant, data_dir: Path, number: signal.Signals
) -> None:
    owner = await participate()
    assert processes_in(data_dir)
    await owner.end(number)
    await eventually(lambda: not processes_in(data_dir))
    again = await participate()
    assert again.role == "owner"


async def test_ctrl_c_in_the_owners_terminal_does_not_reach_the_server(
    participate: StartParticipant, data_dir: Path
) -> None:
    owner = await participate()
    assert os.getsid(postmaster_of(data_dir)) != os.getsid(owner.pid)


async def test_an_orphaned_server_that_does_not_end_is_killed(
    participate: StartParticipant, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = tuple((0.2, number) for _, number in server.LEFTOVER_SIGNALS[:-1])
    monkeypatch.setattr(server, "LEFTOVER_SIGNALS", (*impatient, server.LEFTOVER_SIGNALS[-1]))
    owner = await participate()
    orphan = postmaster_of(data_dir)
    os.kill(orphan, signal.SIGSTOP)
    await owner.end(signal.SIGKILL)
    async with EmbeddedPostgres(data_dir, settings=FAST) as embedded:
        assert embedded.is_owner
        assert postmaster_of(data_dir) != orphan
        assert await _reachable(embedded.url)


async def test_supervision_goes_on_after_an_error_and_ends_when_cancelled(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with EmbeddedPostgres(data_dir, settings=FAST) as embedded:
        supervision = asyncio.create_task(embedded.supervise())
        settings = data_dir / "postgres/cluster/postgresql.auto.conf"
        sound = settings.read_text()
        settings.write_text("no_such_setting = 1")
        os.kill(postmaster_of(data_dir), signal.SIGKILL)
        await eventually(lambda: "next try in" in caplog.text)
        assert "no_such_setting" in caplog.text
        settings.write_text(sound)
        await eventually(lambda: _reachable(embedded.url))
        supervision.cancel()
        with pytest.raises(asyncio.CancelledError):
            await supervision


async def test_a_cancelled_start_leaves_no_process_and_no_lock(data_dir: Path) -> None:
    embedded = EmbeddedPostgres(data_dir, settings=FAST)
    start = asyncio.create_task(embedded.start())
    await eventually(lambda: bool(processes_in(data_dir)))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await eventually(lambda: not processes_in(data_dir))
    async with EmbeddedPostgres(data_dir, settings=FAST) as second:
        assert second.is_owner
        assert await _reachable(second.url)


async def test_a_client_that_stops_leaves_the_server_alone(data_dir: Path) -> None:
    owner, client = EmbeddedPostgres(data_dir, settings=FAST), EmbeddedPostgres(data_dir, settings=FAST)
    async with owner:
        async with client:
            assert not client.is_owner
        assert await _reachable(owner.url)


async def test_supervision_that_is_not_cancelled_ends_with_stop(data_dir: Path) -> None:
    owner, client = EmbeddedPostgres(data_dir, settings=FAST), EmbeddedPostgres(data_dir, settings=FAST)
    async with owner:
        await client.start()
        async with asyncio.TaskGroup() as both:
            both.create_task(owner.supervise())
            both.create_task(client.supervise())
            await client.stop()
            await owner.stop()
    assert not processes_in(data_dir)
    async with client:
        assert client.is_owner


FORKING_HOLDER = """
import os, sys
from pathlib import Path
from taskrpc.store.embedded.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire()
if os.fork() == 0:
    print("forked", flush=True)
sys.stdin.read()
"""


def test_a_forked_worker_does_not_keep_the_lock_of_its_killed_parent(place: Path) -> None:
    command = [sys.executable, "-c", FORKING_HOLDER, str(place / "lock")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    lock = FileLock(place / "lock")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"forked\n"
        assert not lock.try_acquire(), "the parent holds it"
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert lock.try_acquire(), "the worker, which is alive, does not"
        lock.release()
