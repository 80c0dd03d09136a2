"""`taskrpc serve --workers`: processes that share a port, as one service."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from taskrpc.store.embedded.home import find_home
from taskrpc.store.embedded.processes import server_processes
from taskrpc.supervisor import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, longer
from tests.system.conftest import Serve
from tests.system.processes import ServerProcess, run
from tests.system.waiting import until
from tests.system.wire import Wire, connection, connections

WORKERS = 2
CONNECTIONS = 40
POLL = {"taskDefinitions": ["test/task"], "timeout": 60_000}


def _children(pid: int) -> set[int]:
    """The workers of a supervisor that live."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            with contextlib.suppress(OSError):
                if b"taskrpc.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(child)
    return found


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _health(wire: Wire) -> Any:
    return (await wire.get("/health/ready")).body


@contextlib.asynccontextmanager
async def _one_of_each(url: str) -> AsyncIterator[dict[int, Wire]]:
    """A connection to each worker."""
    async with connections(url, CONNECTIONS) as wires:
        found = {(await _health(wire))["worker"]: wire for wire in wires}
        assert found.keys() == set(range(1, WORKERS + 1)), "all connections came to one worker"
        yield found


async def _serving(server: ServerProcess, pids: set[int]) -> set[int]:
    """Waits until all workers serve and none of `pids` is among them; answers their process ids."""

    async def renewed() -> bool:
        if len(_children(server.pid) - pids) < WORKERS:
            return False
        async with connections(server.url, CONNECTIONS) as wires, asyncio.timeout(5):
            return {(await _health(wire))["worker"] for wire in wires} == set(range(1, WORKERS + 1))

    await until(renewed)
    return _children(server.pid)


@pytest.fixture
async def server(database_url: str, serve: Serve) -> ServerProcess:
    """Two workers on this test's database."""
    return await serve(database_url, "--workers", str(WORKERS))


async def test_workers_share_a_port_and_wake_each_other(server: ServerProcess) -> None:
    async with _one_of_each(server.url) as wires:
        assert [(await _health(wires[n]))["workers"] for n in (1, 2)] == [WORKERS] * 2
        wires[1].send("awf.task/long-poll", **POLL)

        async def waits() -> bool:
            async with connections(server.url, CONNECTIONS) as others:
                seen = [await _health(wire) for wire in others]
            return {health["worker"]: health["waitingPolls"] for health in seen} == {1: 1, 2: 0}

        await until(waits)
        await wires[2].call("awf.task/create-and-execute", id="t1", definition="test/task")
        (task,) = (await wires[1].receive()).result["resources"]
    assert task["id"] == "t1"
    assert len(_children(server.pid)) == WORKERS


@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, "was killed by SIGKILL"), (signal.SIGTERM, "has ended")])
async def test_a_worker_that_ends_is_replaced_and_the_others_go_on(
    server: ServerProcess, number: signal.Signals, said: str
) -> None:
    before = _children(server.pid)
    victim = min(before)
    async with _one_of_each(server.url) as wires:
        os.kill(victim, number)
        await server.logged(said)
        answered = await asyncio.gather(*map(_answers, wires.values()))
    assert sorted(answered) == [False, True]
    assert await _serving(server, {victim}) & before == before - {victim}


async def _answers(wire: Wire) -> bool:
    try:
        return (await wire.call("awf.task/create-and-execute", definition="test/task")).status == 200
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def test_sigterm_answers_all_waiting_polls_and_ends_with_0(server: ServerProcess) -> None:
    pids = _children(server.pid)
    async with _one_of_each(server.url) as wires:
        for wire in wires.values():
            wire.send("awf.task/long-poll", **POLL)
        server.signal(signal.SIGTERM)
        replies = [await wire.receive() for wire in wires.values()]
    assert [(reply.status, reply.result["resources"]) for reply in replies] == [(200, [])] * WORKERS
    assert await server.ended() == 0
    assert not any(map(_lives, pids))


async def test_workers_end_when_their_supervisor_was_killed(server: ServerProcess) -> None:
    pids = _children(server.pid)
    await server.kill()

    async def all_ended() -> bool:
        return not any(map(_lives, pids))

    await until(all_ended)


async def test_sighup_renews_the_workers_and_answers_every_call_that_it_carries_out(server: ServerProcess) -> None:
    before = _children(server.pid)
    renewed = asyncio.Event()
    answered, unanswered = set(), set()

    async def create(id: str) -> None:
        async with connection(server.url) as wire:
            try:
                reply = await wire.call("awf.task/create-and-execute", id=id, definition="test/task")
            except (ConnectionError, asyncio.IncompleteReadError):
                unanswered.add(id)  # it was too slow for a worker that ends, and may be sent again
            else:
                assert reply.status == 200
                answered.add(id)

    async def create_many(name: str) -> None:
        for n in itertools.count():
            await create(f"{name}-{n}")
            if renewed.is_set():
                return

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(create_many(name))
        server.signal(signal.SIGHUP)
        after = await _serving(server, before)
        renewed.set()
    assert not after & before
    assert len(answered) > len(unanswered)
    async with connection(server.url) as wire:
        assert [(await wire.call("awf.task/status", id=id)).status for id in unanswered] == [404] * len(unanswered)


async def test_the_log_tells_which_worker_says_it(database_url: str, serve: Serve) -> None:
    server = await serve(database_url, "--workers", str(WORKERS), "--log-format", "json", "--log-level", "debug")
    async with _one_of_each(server.url) as wires:
        for n, wire in wires.items():
            await wire.call("awf.task/create-and-execute", id=f"t{n}", definition="test/task")
    lines = [orjson.loads(line) for line in server.log.splitlines()]
    assert {line["task"]: line["worker"] for line in lines if line.get("task")} == {"t1": 1, "t2": 2}


async def test_the_embedded_postgresql_outlives_a_worker_and_ends_with_all(data_dir: Path, spawn: Serve) -> None:
    server = await (await spawn("--data-dir", str(data_dir), "--workers", str(WORKERS))).ready()
    home = find_home(data_dir)
    assert home is not None
    async with connection(server.url) as wire:
        await wire.call("awf.task/create-and-execute", id="t1", definition="test/task")
    before, workers = server_processes(home), _children(server.pid)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    await _serving(server, workers)
    async with connection(server.url) as wire:
        assert (await wire.call("awf.task/status", id="t1")).result["resource"]["status"] == "ready"
    assert min(server_processes(home)) == min(before)
    server.signal(signal.SIGINT)
    assert await server.ended() == 0
    assert not server_processes(home)


async def test_a_port_is_not_shared_with_the_workers_of_another_service(
    server: ServerProcess, database_url: str
) -> None:
    port = server.url.rpartition(":")[2]
    ended = await run("serve", "--workers", "2", "--database-url", database_url, "--port", port)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"taskrpc: Cannot listen on 127.0.0.1:{port}: Address already in use")


async def test_what_is_wrong_is_said_once(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "definitions.yaml"
    path.write_text("test/task: 5\n")
    ended = await run(
        "serve", "--workers", "3", "--port", "0", "--database-url", database_url, "--definitions", str(path)
    )
    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "line 1: test/task: the fields of a definition are a mapping" in ended.err


async def test_a_service_that_still_starts_ends_at_once(spawn: Serve) -> None:
    server = await spawn("--workers", "2", "--database-url", "postgresql://127.0.0.1:1/nowhere")
    await server.logged("waiting for the database")
    server.signal(signal.SIGTERM)
    assert await server.ended() == 0


def test_a_worker_that_dies_at_once_again_and_again_is_started_less_and_less_often() -> None:
    pauses = [0.0]
    for _ in range(10):
        pauses.append(longer(pauses[-1]))
    assert pauses[1] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] == LONGEST_PAUSE_SECONDS
