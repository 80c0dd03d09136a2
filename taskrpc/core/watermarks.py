"""Where claims begin to look in their queues, so that those who were there before cost nothing.

While an old snapshot is open, say that of a dump, PostgreSQL keeps every row that dies: in the index of claims all
tasks that were handed out stay in front of those that are ready, and a claim that began at the front would visit them
all. A watermark is what former claims of this server have shown: among the tasks of one queue and rank, none that
became due before it is ready.

Two things could come in below a watermark. Tasks that return to their old place, or became ready late, are marked as
backdated, and looked at without one. And a transaction may commit a new task when its time has passed: so a watermark
keeps LAG behind the claim that it comes from, and now and then a claim looks without any.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from taskrpc.core.model import Queue

LAG: Final = timedelta(seconds=1)
FULL_LOOK_SECONDS: Final = 1.0
# Full looks take at most this share of a queue's time, but come at least so often.
_SHARE: Final = 0.05
MOST_FULL_LOOK_SECONDS: Final = 30.0
MOST_RANKS: Final = 16
MOST_QUEUES: Final = 10_000

_FIRST_RANK: Final = -(2**31)
_LAST_RANK: Final = 2**31 - 1


class Part(NamedTuple):
    """A part of a queue, in the order of its tasks: from the first of `first_rank` that is due since `since` (None: the
    first of all) and not before `first_id`, to the last of `last_rank`; backdated tasks or the others."""

    kind: str
    name: str
    backdated: bool
    first_rank: int
    since: datetime | None
    first_id: str
    last_rank: int


# Since when the tasks are due that come after a watermark, and the first of them by its id.
Mark = tuple[Any, str]


@dataclass(slots=True)
class _Marks:
    full_look_at: float
    of_rank: dict[int, Mark] = field(default_factory=dict)


_NONE: Final[Mark] = (None, "")


class Watermarks:
    """The watermarks of one server. Times of tasks are the database's, `now` and `seconds` the caller's."""

    def __init__(self) -> None:
        self._of: dict[Queue, _Marks] = {}
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """A claim that was sent in another epoch than it returns in teaches nothing."""
        return self._epoch

    def parts(self, queues: Iterable[Queue], now: float) -> list[Part]:
        """What the next claim has to look at; all of a queue when it is time for that."""
        found = []
        for queue in queues:
            marks = self._of.get(queue)
            if marks is not None and marks.full_look_at <= now:
                del self._of[queue]
                marks = None
            found.append(Part(*queue, True, _FIRST_RANK, *_NONE, _LAST_RANK))
            found += _parts(queue, marks.of_rank if marks is not None else {})
        return found

    def spare(self, queues: Iterable[Queue]) -> bool:
        """Whether anything of these queues is left out at the moment."""
        return any(queue in self._of for queue in queues)

    def learn(self, rows: Sequence[Mapping[str, Any]], epoch: int, now: float, seconds: float) -> None:
        """Draws conclusions from the tasks that a claim handed out; it was sent in `epoch` and took so many seconds."""
        if not rows or epoch != self._epoch:
            return
        latest: Mark = (rows[0]["updated_at"] - LAG, "")
        interval = min(max(FULL_LOOK_SECONDS, seconds / _SHARE), MOST_FULL_LOOK_SECONDS)
        for row in rows:
            queue = row["kind"], row["name"]
            marks = self._of.get(queue)
            if marks is None:
                if len(self._of) >= MOST_QUEUES:
                    self._of.clear()
                marks = self._of[queue] = _Marks(now + interval)
            _raise(marks.of_rank, row["rank"], min((row["ready_at"], row["id"]), latest))

    def forget(self, queues: Iterable[Queue] | None) -> None:
        """The next claims of these queues (None: of any) look at all of them: there may be something below."""
        self._epoch += 1
        if queues is None:
            self._of.clear()
        else:
            for queue in queues:
                self._of.pop(queue, None)


def _raise(of_rank: dict[int, Mark], rank: int, mark: Mark) -> None:
    known = of_rank.get(rank)
    if known is None and len(of_rank) >= MOST_RANKS:
        del of_rank[next(iter(of_rank))]
    if known is None or mark > known:
        of_rank[rank] = mark


def _parts(queue: Queue, of_rank: Mapping[int, Mark]) -> list[Part]:
    """The tasks that are not backdated, without those of each rank that come before its watermark."""
    starts = sorted(of_rank.items())
    if not starts or starts[0][0] > _FIRST_RANK:
        starts.insert(0, (_FIRST_RANK, _NONE))
    ends = [following - 1 for _, (following, _) in pairwise(starts)]
    return [
        Part(*queue, False, rank, *mark, end) for (rank, mark), end in zip(starts, [*ends, _LAST_RANK], strict=True)
    ]
