"""Gathers calls of different clients into shared statements.

A call that comes while no statement of its kind is under way is sent at the end of the event loop's turn; calls that
come meanwhile are the next statement. So nothing waits at low load, and at high load hundreds share a commit.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Database, unavailable
from taskrpc.store.recovery import through_outages

log = logging.getLogger(__name__)

MOST_ELEMENTS: Final = 500
MOST_BYTES: Final = 8 * 2**20
MOST_WAITING: Final = 100_000
MOST_WAITING_BYTES: Final = 128 * 2**20
LOCK_PATIENCE_SECONDS: Final = 10.0
_LOCK_PAUSE_SECONDS: Final = 0.002


class Again:
    """The answer to an element that fits but whose row was locked by somebody else: it belongs into the next flush."""


AGAIN: Final = Again()


class Element(Protocol):
    """What is flushed: `key` names the row that it is about, `size` is its weight in bytes."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...


E = TypeVar("E", bound=Element)
A = TypeVar("A")
Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(slots=True)
class _Entry(Generic[E, A]):
    element: E
    answer: "asyncio.Future[A]"
    since: float | None = None  # when it was first found locked


class Batcher(Generic[E, A]):
    """One kind of statement: at most one flush is under way, with at most one element per row.

    `run` answers one of A, a TaskRpcError or AGAIN for each element, in order. It may raise: CommitUnknown makes the
    same elements go again once the database is back (their call ids tell what happened), `unavailable` is the answer
    to all, and anything else is bisected, so that only the guilty element is refused.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        spawn: Spawn,
        run: Callable[[Sequence[E]], Awaitable[Sequence[A | TaskRpcError | Again]]],
    ) -> None:
        self._name = name
        self._database = database
        self._spawn = spawn
        self._run = run
        self._waiting: deque[_Entry[E, A]] = deque()
        self._waiting_bytes = 0
        self._busy = False
        self._loop = asyncio.get_running_loop()

    def submit(self, element: E) -> "asyncio.Future[A]":
        """Has one element carried out; the future has its answer, or the TaskRpcError that it is refused with.

        A batcher that is full refuses it by the future, too. What is cancelled before it is sent is not carried out.
        """
        entry: _Entry[E, A] = _Entry(element, self._loop.create_future())
        too_large = self._waiting_bytes + element.size > MOST_WAITING_BYTES and self._waiting
        if too_large or len(self._waiting) >= MOST_WAITING:
            entry.answer.set_exception(unavailable(f"Too many {self._name} calls are waiting"))
            return entry.answer
        self._waiting.append(entry)
        self._waiting_bytes += element.size
        self._wake()
        return entry.answer

    def _wake(self) -> None:
        if not self._busy and self._waiting:
            self._busy = True
            self._spawn(self._flush())

    def _take(self) -> list[_Entry[E, A]]:
        taken: list[_Entry[E, A]] = []
        passed: list[_Entry[E, A]] = []
        keys: set[str] = set()
        size = 0
        while self._waiting and len(taken) < MOST_ELEMENTS:
            entry = self._waiting.popleft()
            if entry.answer.done():  # its caller is gone
                self._waiting_bytes -= entry.element.size
            elif entry.element.key in keys:
                passed.append(entry)
            elif taken and size + entry.element.size > MOST_BYTES:
                passed.append(entry)
                break
            else:
                keys.add(entry.element.key)
                size += entry.element.size
                taken.append(entry)
        self._waiting.extendleft(reversed(passed))
        self._waiting_bytes -= size
        return taken

    async def _flush(self) -> None:
        """Runs as a task of its own, which begins at the end of the loop's turn."""
        entries = self._take()
        try:
            await self._carry_out(entries)
        except BaseException:
            for entry in entries:
                entry.answer.cancel()
            raise
        finally:
            self._busy = False
            self._wake()

    async def _carry_out(self, entries: list[_Entry[E, A]]) -> None:
        if not entries:
            return
        elements = [entry.element for entry in entries]
        try:
            answers = await through_outages(self._database, lambda: self._run(elements))
        except TaskRpcError as refusal:
            for entry in entries:
                _answer(entry, refusal)
        except Exception as error:
            await self._bisect(entries, error)
        else:
            again = [e for e, answer in zip(entries, answers, strict=True) if not _answer(e, answer)]
            if again:
                self._come_again(again)

    async def _bisect(self, entries: list[_Entry[E, A]], error: Exception) -> None:
        if len(entries) == 1:
            log.error("%s of %s failed", self._name, entries[0].element.key, exc_info=error)
            if not entries[0].answer.done():
                entries[0].answer.set_exception(error)
            return
        middle = len(entries) // 2
        await self._carry_out(entries[:middle])
        await self._carry_out(entries[middle:])

    def _come_again(self, entries: list[_Entry[E, A]]) -> None:
        now, pause = self._loop.time(), _LOCK_PAUSE_SECONDS
        for entry in entries:
            entry.since = entry.since or now
            waited = now - entry.since
            pause = max(pause, min(waited, 0.1))
            if waited > LOCK_PATIENCE_SECONDS:
                _answer(entry, unavailable(f"Task {entry.element.key} is locked by another transaction"))
        self._loop.call_later(pause, self._requeue, [entry for entry in entries if not entry.answer.done()])

    def _requeue(self, entries: list[_Entry[E, A]]) -> None:
        self._waiting.extendleft(reversed(entries))
        self._waiting_bytes += sum(entry.element.size for entry in entries)
        self._wake()


def _answer(entry: "_Entry[E, A]", answer: A | TaskRpcError | Again) -> bool:
    """Gives an entry its answer, if its caller is still there; False when it has to come again."""
    if isinstance(answer, Again):
        return False
    if not entry.answer.done():
        if isinstance(answer, TaskRpcError):
            entry.answer.set_exception(answer)
        else:
            entry.answer.set_result(answer)
    return True
