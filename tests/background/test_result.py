"""Waiting for the outcome: it costs no connection to the database, and is told on every server."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from taskrpc.engine import results
from tests.databases import connected
from tests.engine.headless import Headless, headless
from tests.system.waiting import until

WAITING = 500
PROMPT_SECONDS = 0.05

_hints = pytest.mark.skipif(os.environ.get("TASKRPC_NOTIFY") == "0", reason="servers do not tell each other")


async def _waiting(server: Headless, task: Any, callers: int = 1) -> Sequence["asyncio.Future[Any]"]:
    answers = [asyncio.ensure_future(server.call("awf.task/result", id=task["id"])) for _ in range(callers)]

    async def wait() -> bool:
        return server.parts.results.waiting == callers

    await until(wait)
    return answers


async def _connections(observer: asyncpg.Connection) -> int:
    count: int = await observer.fetchval("select count(*) from pg_stat_activity where datname = current_database()")
    return count


async def test_waiting_callers_hold_no_connection_to_the_database(server: Headless, database_url: str) -> None:
    task = await server.started()
    async with connected(database_url) as observer:
        answers = await _waiting(server, task, WAITING)
        assert await _connections(observer) < 20
    await server.of("success", task, result=7)
    assert {(await answer)["resource"]["result"] for answer in answers} == {7}


@_hints
async def test_an_end_on_one_server_is_told_on_another_within_50_ms(
    server: Headless, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "SLOW_POLL_SECONDS", 3600.0)
    took = []
    async with headless(database_url) as other:
        for _ in range(10):
            task = await server.started()
            (answer,) = await _waiting(other, task)
            await server.of("success", task)
            began = time.perf_counter()
            assert (await answer)["resource"]["status"] == "done"
            took.append(time.perf_counter() - began)
    assert min(took) < PROMPT_SECONDS, took


async def test_without_hints_an_end_elsewhere_is_found_by_one_slow_poll(database_url: str) -> None:
    async with headless(database_url, notify=False) as server, headless(database_url, notify=False) as other:
        task = await server.started()
        (answer,) = await _waiting(other, task)
        await server.of("success", task)
        async with asyncio.timeout(results.SLOW_POLL_SECONDS + 5):
            assert (await answer)["resource"]["status"] == "done"
