"""Long polls: waiting callers stand in memory, in lines, and one claim serves many of them.

Polls that ask for the same queues stand in one line, in the order in which they came. A line claims when it has
reason to: a caller came and nobody knows that the queues are empty, or something became ready. "Empty" is a generation
that was remembered before the claim was sent; whatever makes a task ready raises it, through `wake`. So idle callers
cost nothing, and no task is missed. Lines whose queues overlap claim one after the other, the oldest caller first,
and none for callers who came after the next line's first.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final

from taskrpc.core.model import Queue
from taskrpc.engine.caller import Caller
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Spawn
from taskrpc.store.claims import MOST_CLAIMED, Claims
from taskrpc.store.database import CommitUnknown, Record, unavailable

log = logging.getLogger(__name__)

SLOW_POLL_SECONDS: Final = 1.0
_LOCKED_PAUSE_SECONDS: Final = 0.005
_MOST_LOCKED_PAUSE_SECONDS: Final = 0.1


@dataclass(slots=True, eq=False)
class _Waiter:
    most: int
    number: int  # the order of arrival
    patient: bool
    answer: "asyncio.Future[list[Record]]"
    claims_seen: int  # claims of its line that were sent before it came

    @property
    def rows(self) -> list[Record]:
        """What it was handed out, whether or not its caller could still take it."""
        if not self.answer.done() or self.answer.cancelled() or self.answer.exception() is not None:
            return []
        return self.answer.result()


@dataclass(slots=True, eq=False)
class _Line:
    queues: frozenset[Queue]
    start: bool
    waiters: dict[int, _Waiter] = field(default_factory=dict)
    impatient: dict[int, _Waiter] = field(default_factory=dict)  # those of them that take no for an answer
    generation: int = 0
    empty_generation: int = -1
    claims_sent: int = 0
    locked_pause: float = _LOCKED_PAUSE_SECONDS

    @property
    def head(self) -> int:
        return next(iter(self.waiters), 0)

    def enter(self, waiter: _Waiter) -> None:
        self.waiters[waiter.number] = waiter
        if not waiter.patient:
            self.impatient[waiter.number] = waiter

    def leave(self, waiter: _Waiter) -> None:
        self.waiters.pop(waiter.number, None)
        self.impatient.pop(waiter.number, None)


class Dispatcher:
    """The lines of one server. `look` has to be called now and then: it finds what no hint told."""

    def __init__(self, claims: Claims, spawn: Spawn) -> None:
        self._claims = claims
        self._spawn = spawn
        self._lines: dict[tuple[frozenset[Queue], bool], _Line] = {}
        self._of_queue: dict[Queue, set[_Line]] = {}
        self._eager: set[_Line] = set()
        self._claiming: set[_Line] = set()
        self._numbers = count(1)
        self._draining = False
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return sum(len(line.waiters) for line in self._lines.values())

    @property
    def is_draining(self) -> bool:
        """Whether this server stops."""
        return self._draining

    async def poll(
        self, queues: frozenset[Queue], most: int, seconds: float, start: bool, caller: Caller
    ) -> list[Record]:
        """Rows of tasks that were handed out, as soon as there is one, at most `most`; none after `seconds`.

        With 0 seconds a claim that was sent after the call decides. Raises `unavailable` for such a call when the
        database is away; callers that have time wait for its return.
        """
        if not queues:
            return []
        if self._draining:
            seconds = 0
        waiter, line = self._enter(queues, most, seconds > 0, start)
        del queues  # those of the line are the same
        try:
            with caller.patience(waiter.answer, seconds or None, []):
                return await waiter.answer
        finally:
            self._leave(waiter, line)
            if rows := waiter.rows:
                caller.if_undelivered(lambda: self._claims.give_back(rows))

    def _enter(self, queues: frozenset[Queue], most: int, patient: bool, start: bool) -> tuple[_Waiter, _Line]:
        line = self._lines.get((queues, start))
        if line is None:
            line = self._lines[queues, start] = _Line(queues, start)
            for queue in queues:
                self._of_queue.setdefault(queue, set()).add(line)
        waiter = _Waiter(most, next(self._numbers), patient, self._loop.create_future(), line.claims_sent)
        line.enter(waiter)
        if not patient or line.empty_generation != line.generation:
            self._eager.add(line)
            self._pump()
        return waiter, line

    def _leave(self, waiter: _Waiter, line: _Line) -> None:
        line.leave(waiter)
        if not line.waiters and line not in self._claiming:
            self._forget(line)

    def _forget(self, line: _Line) -> None:
        self._lines.pop((line.queues, line.start), None)
        self._eager.discard(line)
        for queue in line.queues:
            lines = self._of_queue.get(queue, set())
            lines.discard(line)
            if not lines:
                self._of_queue.pop(queue, None)

    def wake(self, queues: Iterable[Queue] | None) -> None:
        """Tasks of these queues may be ready (None: of any): whoever waits for them has to look again."""
        if queues is None:
            self._claims.forget()
            lines: set[_Line] = set(self._lines.values())
        else:
            lines = set().union(*(self._of_queue.get(queue, ()) for queue in queues))
        for line in lines:
            line.generation += 1
            if line.waiters:
                self._eager.add(line)
        self._pump()

    def _pump(self) -> None:
        """Sends the claims that can be sent: the line with the oldest caller first, none that overlaps another."""
        if not self._eager:
            return
        busy = {queue for line in self._claiming for queue in line.queues}
        for line in sorted(self._eager, key=lambda line: line.head):
            if busy.isdisjoint(line.queues) and line.waiters:
                self._eager.discard(line)
                self._claiming.add(line)
                line.claims_sent += 1
                self._spawn(self._claim(line, line.claims_sent))
            busy |= line.queues

    async def _claim(self, line: _Line, number: int) -> None:
        generation = line.generation
        rows: Sequence[Record] = []
        more = False
        refusal: TaskRpcError | None = None
        known = False
        try:
            thorough = bool(line.impatient)
            rows, more = await self._claims.claim(line.queues, self._wanted(line), line.start, thorough)
            known = True
        except TaskRpcError as error:
            refusal = error  # who has time waits for the database's return, which wakes all lines
        except Exception as error:
            if isinstance(error, CommitUnknown):
                refusal = unavailable("The connection to the database broke")
            else:
                log.exception("a claim of %s failed", sorted(line.queues))
            self._loop.call_later(_MOST_LOCKED_PAUSE_SECONDS, self.wake, line.queues)
        finally:
            self._claiming.discard(line)
        self._hand_out(line, rows)
        self._dismiss_impatient(line, number, refusal)
        if known:
            self._plan(line, generation, bool(rows), more)
        if not line.waiters:
            self._forget(line)
        self._pump()

    def _wanted(self, line: _Line) -> int:
        """How many tasks the line's callers take, up to the first that came after one of another line in need."""
        rivals = (other for other in self._eager if other.waiters and not line.queues.isdisjoint(other.queues))
        turn = min((rival.head for rival in rivals), default=None)
        wanted = 0
        for number, waiter in line.waiters.items():
            if wanted >= MOST_CLAIMED or (wanted and turn is not None and number > turn):
                break
            wanted += waiter.most
        return min(wanted, MOST_CLAIMED)

    def _hand_out(self, line: _Line, rows: Sequence[Record]) -> None:
        left = list(rows)
        while left and line.waiters:
            for waiter in list(islice(line.waiters.values(), len(left))):
                if not left:
                    break
                line.leave(waiter)
                if not waiter.answer.done():
                    share, left = self._claims.share(left, waiter.most)
                    waiter.answer.set_result(share)
        if left:
            self._spawn(self._claims.give_back(left))

    @staticmethod
    def _dismiss_impatient(line: _Line, number: int, refusal: TaskRpcError | None) -> None:
        for waiter in list(line.impatient.values()):
            if waiter.claims_seen >= number or waiter.answer.done():
                continue
            if refusal is None:
                waiter.answer.set_result([])
            else:
                waiter.answer.set_exception(refusal)
            line.leave(waiter)

    def _plan(self, line: _Line, generation: int, got_some: bool, more: bool) -> None:
        """Decides, after a claim, whether the line's other callers have reason to claim again, and when."""
        if got_some or not more:
            line.locked_pause = _LOCKED_PAUSE_SECONDS
        if not more:
            line.empty_generation = generation
        if not line.waiters:
            return
        if more and not got_some:  # what is there is locked by somebody: another claim, or a long transaction
            self._loop.call_later(line.locked_pause, self.wake, line.queues)
            line.locked_pause = min(line.locked_pause * 2, _MOST_LOCKED_PAUSE_SECONDS)
        elif more or line.generation != generation or line.impatient:
            self._eager.add(line)

    async def look(self) -> float:
        """Looks in the database for queues that have tasks and callers; answers when to look again, in seconds."""
        queues = [queue for queue, lines in self._of_queue.items() if any(line.waiters for line in lines)]
        if queues:
            self.wake(await self._claims.find_ready(queues))
        return SLOW_POLL_SECONDS

    def drain(self) -> None:
        """Answers everybody with nothing, now and from now on: the server stops."""
        self._draining = True
        for line in list(self._lines.values()):
            for waiter in list(line.waiters.values()):
                if waiter.patient and not waiter.answer.done():
                    waiter.answer.set_result([])
