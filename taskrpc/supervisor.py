"""Several server processes that share a port: started, replaced when they die, renewed, and stopped together.

Each worker has a listening socket of its own, since connections last long and the kernel spreads them evenly over
sockets, but not over processes that accept from one. The supervisor holds the sockets: who connects while a worker is
replaced waits for the next one. It also owns the embedded PostgreSQL, which outlives any worker.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

from taskrpc.secret_keys import key_file
from taskrpc.settings import Settings
from taskrpc.web.listening import listen_together, url_of
from taskrpc.worker import READY, Order

log = logging.getLogger(__name__)

STEADY_SECONDS: Final = 10.0
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0
# A worker that drains takes two seconds at most, unless its process hangs.
DRAIN_SECONDS: Final = 10.0


class WorkersRefused(Exception):
    """The first worker did not start; it has said why."""


class Worker:
    """One place of the supervisor, for one process after another."""

    def __init__(self, number: int, listening: socket.socket, settings: Settings) -> None:
        self.number = number
        self._listening = listening
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self.is_ready = asyncio.Event()

    async def start(self) -> bool:
        """Starts a process; True when it serves, False when it ended before it did."""
        fd = self._listening.fileno()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskrpc.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(fd,),
            start_new_session=True,  # what a terminal sends to all processes in it is for the supervisor
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(Order(self.number, fd, self._settings).encode())
        if await self._process.stdout.readline() != READY:
            return False
        self.is_ready.set()
        return True

    async def ended(self) -> int:
        """Waits for the end of the process; answers its exit status, negative for a signal."""
        assert self._process is not None
        status = await self._process.wait()
        self.is_ready.clear()
        return status

    def terminate(self) -> None:
        """Asks the process to drain."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def stop(self) -> None:
        """Drains the process and waits for its end."""
        self.terminate()
        if self._process is None:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._process.wait()
        except TimeoutError:
            log.warning("worker %d did not end within %.0f s and is killed", self.number, DRAIN_SECONDS)
            self._process.kill()
            await self._process.wait()


class Supervisor:
    """The workers of one `taskrpc serve`. `run` serves until `stop` was called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._renew = asyncio.Event()

    def stop(self) -> None:
        """Begins the shutdown: all workers drain side by side."""
        self._stop.set()

    def renew(self) -> None:
        """Replaces the workers one after the other: what they read at their start is read again."""
        self._renew.set()

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Starts the workers, tells `on_ready` their URL, keeps them running, stops them.

        Raises TaskRpcError for what cannot be started, WorkersRefused if a worker has said it.
        """
        settings = self._settings
        sockets = listen_together(settings.host, settings.port, settings.workers)
        async with contextlib.AsyncExitStack() as stack:
            for listening in sockets:
                stack.callback(listening.close)
            serving = asyncio.ensure_future(self._serve(sockets, on_ready))
            stopping = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    async def _serve(self, sockets: list[socket.socket], on_ready: Callable[[str], None]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            settings = await self._with_database(stack)
            workers = [Worker(number, one, settings) for number, one in enumerate(sockets, 1)]
            stack.push_async_callback(_stop_all, workers)
            # Whatever is wrong with the settings or the database, the first one says it for all.
            if not await workers[0].start():
                raise WorkersRefused
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(_keep(worker))
                for worker in workers:
                    await worker.is_ready.wait()
                on_ready(url_of(sockets[0]))
                while True:
                    await self._renew.wait()
                    self._renew.clear()
                    await _renew(workers)

    async def _with_database(self, stack: contextlib.AsyncExitStack) -> Settings:
        if self._settings.database_url is not None:
            return self._settings
        from taskrpc.store.embedded import supervised  # noqa: PLC0415  (it runs on Linux only)

        url = (await stack.enter_async_context(supervised(self._settings.data_dir))).url
        return self._settings.model_copy(update={"database_url": url, "secret_key_file": key_file(self._settings)})


async def _keep(worker: Worker) -> None:
    """Runs for ever: replaces the process of a worker whenever it ends, after a pause if it ended soon."""
    pause = 0.0
    while True:
        began = time.monotonic()
        if worker.is_ready.is_set() or await worker.start():
            began = time.monotonic()
        status = await worker.ended()
        steady = status == 0 or time.monotonic() - began > STEADY_SECONDS
        pause = 0.0 if steady else longer(pause)
        _tell(worker.number, status, pause)
        await asyncio.sleep(pause)


def longer(pause: float) -> float:
    """The pause before the next try, after one of so many seconds."""
    return min(max(pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def _tell(number: int, status: int, pause: float) -> None:
    if status == 0:
        log.info("worker %d has ended; another takes its place", number)
        return
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    log.error("worker %d %s; another takes its place in %.1f s", number, how, pause)


async def _renew(workers: list[Worker]) -> None:
    log.info("the workers are renewed, one after the other")
    for worker in workers:
        worker.terminate()
        await worker.ended()
        await worker.is_ready.wait()


async def _stop_all(workers: list[Worker]) -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))
