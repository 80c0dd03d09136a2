"""Deleting in the background: retentions that have passed, and clean-ups, whose executor every server is.

Whoever deletes rests as long as a slice took: so the queue has the database for itself at least half of the time.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import orjson

from taskrpc.core.built_in import CLEAN_UP, CleanUp
from taskrpc.core.model import Queue, Row
from taskrpc.engine.execution_files import files_of
from taskrpc.engine.files import Files
from taskrpc.engine.loop import run_every
from taskrpc.engine.tasks import Tasks
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Spawn
from taskrpc.store.claims import Claims
from taskrpc.store.database import CommitUnknown
from taskrpc.store.retention import FIRST, MOST_ROWS, Retention

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 1.0
_SHORTEST_PAUSE_SECONDS: Final = 0.05
_QUEUE: Final[Queue] = ("task", CLEAN_UP)


class _Superseded(Exception):
    """The clean-up was canceled, or another server has it: its lease ran out."""


async def rest(began: float) -> None:
    """Leaves the database to others, as long as the work since `began` took."""
    await asyncio.sleep(asyncio.get_running_loop().time() - began)


class Cleaning:
    """One server's share of the deleting."""

    def __init__(self, retention: Retention, claims: Claims, tasks: Tasks, files: Files, spawn: Spawn) -> None:
        self._retention = retention
        self._files = files
        self._claims = claims
        self._tasks = tasks
        self._spawn = spawn
        self._poke = asyncio.Event()

    def queued(self, queues: Sequence[Queue]) -> None:
        """Queues got tasks on this server: perhaps a clean-up."""
        if _QUEUE in queues:
            self._poke.set()

    async def run(self) -> None:
        """Carries out clean-ups for ever, one at a time."""
        await run_every("clean-up", self._look, self._poke)

    async def expire(self) -> float:
        """Deletes a slice of what has expired; answers when to go on, in seconds."""
        began = asyncio.get_running_loop().time()
        if await self._retention.delete_expired() >= MOST_ROWS:
            return asyncio.get_running_loop().time() - began
        seconds = await self._retention.seconds_until_expiry()
        return LONGEST_PAUSE_SECONDS if seconds is None else min(max(seconds, _SHORTEST_PAUSE_SECONDS), 1.0)

    async def forget_runs(self) -> float:
        """Deletes a slice of what executions have left that were deleted; answers when to go on, in seconds."""
        began = asyncio.get_running_loop().time()
        if await self._retention.delete_runs() >= MOST_ROWS:
            return asyncio.get_running_loop().time() - began
        gone = await self._retention.gone()
        for _, execution_id in gone:
            await self._files.delete(files_of(execution_id))
        if gone:
            await self._retention.forget([key for key, _ in gone])
        return LONGEST_PAUSE_SECONDS

    async def _look(self) -> float:
        if not await self._claims.find_ready([_QUEUE]):
            return LONGEST_PAUSE_SECONDS
        rows, _ = await self._claims.claim([_QUEUE], 1, start=True, thorough=True)
        for row in rows:
            await self._execute(row)
        return _SHORTEST_PAUSE_SECONDS

    async def _execute(self, row: Row) -> None:
        try:
            result = await self._clean_up(row)
            await self._tasks.finish("success", row["id"], row["exec_id"], None, result)
        except asyncio.CancelledError:  # this server stops, another one goes on
            self._spawn(self._claims.give_back([row]))
            raise
        except (_Superseded, CommitUnknown, TaskRpcError) as error:  # its lease brings it back, if it is open still
            log.info("clean-up %s ends here: %s", row["id"], error)

    async def _clean_up(self, row: Row) -> object:
        """Carries out all rules; answers the result."""
        feedback = "{}"
        for rule in CleanUp.model_validate(orjson.loads(row["params"])).rules:
            since, after = await self._retention.old_enough(rule), FIRST
            while True:
                began = asyncio.get_running_loop().time()
                page = await self._retention.clean_up(row["id"], row["exec_id"], since, rule, after)
                if page is None:
                    await self._check(row)
                else:
                    feedback = page.feedback
                    if page.last is None:
                        break
                    after = page.last
                await rest(began)
        return orjson.loads(feedback)

    async def _check(self, row: Row) -> None:
        """Goes on if the execution is the current one and its row was only locked. Raises _Superseded."""
        now = await self._tasks.row(row["id"])
        if (now["status"], now["exec_id"]) != ("in-progress", row["exec_id"]):
            raise _Superseded(f"it is {now['status']}")
        if now["stop_requested"]:
            await self._tasks.change("release", row["id"], row["exec_id"])
            raise _Superseded("somebody asked it to stop")
