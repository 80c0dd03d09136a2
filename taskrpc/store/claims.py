"""Claiming tasks for polls, and giving back what could not be delivered."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from taskrpc.core.ids import serial_id
from taskrpc.core.lifecycle import Call
from taskrpc.core.model import Queue
from taskrpc.core.watermarks import Watermarks
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.database import CommitUnknown, Database, Record
from taskrpc.store.lane import Backend
from taskrpc.store.transitions import Answer, TransitionElement

log = logging.getLogger(__name__)

MOST_CLAIMED: Final = 1000
MOST_ANSWER_BYTES: Final = 32 * 2**20
_RECOVERY_SECONDS: Final = 60.0
_SLOW_SECONDS: Final = 1.0


class Claims:
    """Hands out tasks. A claim whose answer was lost on the way is found by its id and given back."""

    def __init__(self, database: Database, releases: Batcher[TransitionElement, Answer], spawn: Spawn) -> None:
        self._database = database
        self._releases = releases
        self._spawn = spawn
        self._marks = Watermarks()
        self._clock = time.monotonic

    async def claim(self, queues: Iterable[Queue], most: int, start: bool, thorough: bool) -> tuple[list[Record], bool]:
        """Rows of at most `most` tasks in their order, and whether more are there.

        Only a `thorough` claim is sure to find at once what came in below a watermark. Raises `unavailable`, or
        CommitUnknown: then whatever was claimed will be given back.
        """
        queues = sorted(queues)
        rows, more = await self._claim(queues, most, start, thorough)
        if thorough and more and not rows and self._marks.spare(queues):
            self._marks.forget(queues)
            rows, more = await self._claim(queues, most, start, thorough)
        return rows, more

    async def _claim(
        self, queues: Sequence[Queue], most: int, start: bool, thorough: bool
    ) -> tuple[list[Record], bool]:
        claim_id, sent_at, epoch = serial_id(), self._clock(), self._marks.epoch
        parts = zip(*self._marks.parts(queues, sent_at), strict=True)
        try:
            rows = await self._database.fetch("claim", *parts, most, MOST_ANSWER_BYTES, start, claim_id, thorough)
        except CommitUnknown as lost:
            self._spawn(self._recover(claim_id, lost.backend))
            raise
        more = bool(rows[0]["more"])
        rows = [row for row in rows if row["id"] is not None]
        now = self._clock()
        self._marks.learn(rows, epoch, now, now - sent_at)
        return self._in_time(rows, now - sent_at), more

    def _in_time(self, rows: list[Record], seconds: float) -> list[Record]:
        """Those rows whose executions cannot be over yet, after a claim that took so long; the others are given back.

        A claim takes long where its commit waits for a disk or a standby.
        """
        if seconds < _SLOW_SECONDS:
            return rows
        late = [row for row in rows if row["due_at"] - row["updated_at"] <= timedelta(seconds=seconds)]
        if late:
            self._spawn(self.give_back(late))
        return [row for row in rows if row not in late]

    async def find_ready(self, queues: Sequence[Queue]) -> list[Queue]:
        """Which of these queues have tasks that may be claimed."""
        kinds, names = zip(*queues, strict=True)
        found = [(row["kind"], row["name"]) for row in await self._database.fetch("find_ready", kinds, names)]
        self._marks.forget(found)
        return found

    def forget(self) -> None:
        """Nothing is known any more of where tasks are: the database was away, and may be another one now."""
        self._marks.forget(None)

    @staticmethod
    def share(rows: list[Record], most: int) -> tuple[list[Record], list[Record]]:
        """Splits rows into what one answer hands out, at most `most` and MOST_ANSWER_BYTES (but one), and the rest."""
        size = 0
        for n, row in enumerate(rows[:most]):
            size += row["bytes"]
            if n and size > MOST_ANSWER_BYTES:
                return rows[:n], rows[n:]
        return rows[:most], rows[most:]

    async def give_back(self, rows: Sequence[Record]) -> None:
        """Makes tasks ready again at once that were handed out to somebody who is gone; at no cost of an attempt."""
        calls = [Call("release", row["id"], serial_id(), False, row["exec_id"]) for row in rows]
        outcomes = await asyncio.gather(
            *(self._releases.submit(TransitionElement(call)) for call in calls), return_exceptions=True
        )
        for call, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, Exception):  # its deadline brings it back
                log.info("task %s could not be given back: %s", call.task_id, outcome)

    async def _recover(self, claim_id: str, backend: Backend | None) -> None:
        deadline = asyncio.get_running_loop().time() + _RECOVERY_SECONDS
        if not await self._database.wait_available(_RECOVERY_SECONDS):
            return  # deadlines bring back what was claimed
        try:
            if backend is not None:
                await self._database.wait_backend_gone(backend, deadline)
            rows = await self._database.fetch("find_claimed", claim_id)
        except (TaskRpcError, CommitUnknown) as error:
            log.info("a claim whose answer was lost could not be looked for: %s", error)
            return
        if rows:
            log.info("%d tasks of a claim whose answer was lost are given back", len(rows))
            await self.give_back(rows)
