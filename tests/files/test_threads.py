"""What blocks runs in threads, and nobody goes on before it is done."""

import asyncio
import threading

import pytest

from taskrpc.storage.storage import Threads
from tests.services import until


async def test_work_is_waited_for_however_often_its_caller_is_cancelled() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        raise OSError("nobody is told of this")

    caller = asyncio.create_task(Threads()(work))
    await until(begun.is_set)
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)  # it is told
        await asyncio.sleep(0)  # and would end
        assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_work_that_fails_tells_its_caller() -> None:
    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await Threads()(fail)
