"""The one shape of background work."""

import asyncio
import logging

import asyncpg
import pytest

from taskrpc.engine import loop
from taskrpc.engine.loop import run_every, spawn, survive
from taskrpc.errors import TaskRpcError
from taskrpc.store.database import CommitUnknown


class Work:
    """Counts its runs; `outcomes` are errors to be raised, or pauses."""

    def __init__(self, *outcomes: float | Exception) -> None:
        self.runs = 0
        self.ran = asyncio.Event()
        self._outcomes = list(outcomes)

    async def __call__(self) -> float:
        self.runs += 1
        self.ran.set()
        outcome = self._outcomes.pop(0) if self._outcomes else 3600.0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def _run(work: Work, until_runs: int, poke: asyncio.Event | None = None) -> None:
    running = asyncio.ensure_future(run_every("test", work, poke))
    async with asyncio.timeout(5):
        while work.runs < until_runs:
            await work.ran.wait()
            work.ran.clear()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_it_runs_again_after_the_pause_that_the_work_answered() -> None:
    work = Work(0.0, 0.001, 3600.0)
    await _run(work, 3)
    assert work.runs == 3


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (TaskRpcError("unavailable", "the database is away"), logging.INFO),
        (CommitUnknown(None), logging.INFO),
        (asyncpg.DeadlockDetectedError("another transaction"), logging.INFO),
        (asyncpg.InvalidCachedStatementError("other tables"), logging.INFO),
        (ZeroDivisionError("a defect"), logging.ERROR),
    ],
)
async def test_an_error_is_logged_and_does_not_end_it(
    error: Exception, level: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_PAUSE_AFTER_ERROR", 0.001)
    with caplog.at_level(logging.INFO):
        await _run(Work(error), 2)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage().startswith("test")) == (level, True)


async def test_a_poke_makes_it_run_at_once_and_a_poke_during_the_work_once_more() -> None:
    poke = asyncio.Event()
    work = Work()

    async def poked() -> float:
        if work.runs == 0:
            poke.set()  # something happened that this run may not have seen
        return await work()

    running = asyncio.ensure_future(run_every("test", poked, poke))
    async with asyncio.timeout(5):
        while work.runs < 2:
            await work.ran.wait()
            work.ran.clear()
        poke.set()
        await work.ran.wait()
    assert work.runs == 3
    running.cancel()


async def test_work_that_fails_is_logged_and_takes_nothing_else_with_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("a defect")

    async with asyncio.TaskGroup() as group:
        other = group.create_task(asyncio.sleep(0, "done"))
        group.create_task(survive(fail()))
    assert other.result() == "done"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "a defect" in (record.exc_text or "")


async def test_work_that_is_cancelled_is_cancelled() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    working = asyncio.ensure_future(survive(wait()))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_nothing_is_begun_any_more_when_its_group_has_ended() -> None:
    begun = []

    async def work() -> None:
        begun.append(1)

    async with asyncio.TaskGroup() as group:
        spawn(group, work())
    spawn(group, work())
    assert begun == [1]
