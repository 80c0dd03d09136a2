"""The calls about one task as flushes: arrays go in, each element gets its row, its refusal, or goes again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from taskrpc.core.lifecycle import Call, Seen, Verdict, judge
from taskrpc.core.model import Row, answered_row
from taskrpc.errors import TaskRpcError
from taskrpc.store import gates
from taskrpc.store.batcher import AGAIN, Again
from taskrpc.store.database import Connection, Database, Record
from taskrpc.store.recovery import partly_done
from taskrpc.store.signals import Signals
from taskrpc.store.statements import SQL


class TransitionElement(NamedTuple):
    """A call and the further columns that its statement takes (`values`, in the order of the statement)."""

    call: Call
    values: tuple[object, ...] = ()
    size: int = 0

    @property
    def key(self) -> str:
        return self.call.task_id


class Done(NamedTuple):
    """An element that took effect (or did before: `repeated`), and the task's row after it."""

    row: Row
    repeated: bool = False


class Obstacle(NamedTuple):
    """An element that changed nothing for a reason that the row does not show.

    `schema`: its document was not checked; `too-large`; `decision`: the call is for other tasks, or comes another way;
    `of-flow`: the task is tried again by its flow only; `workflow-done`: it belongs to a workflow that is done.
    """

    name: str
    row: Row


Answer = Done | Obstacle
Outcome = Answer | TaskRpcError | Again


@dataclass(frozen=True, slots=True)
class Kind:
    """How a statement is called: has the element an execId, how many columns of its own, constants after them, and
    whether limited tasks go through a transaction of their own."""

    statement: str
    of_execution: bool = True
    columns: int = 0
    constants: tuple[object, ...] = ()
    settles: bool = False


FEEDBACK_BYTES: Final = 2**20

KINDS: Final = {
    kind.statement: kind
    for kind in (
        Kind("start"),
        Kind("notify", columns=2),
        Kind("feedback", columns=2, constants=(FEEDBACK_BYTES,)),
        Kind("success", columns=2, settles=True),
        Kind("fail", columns=2, settles=True),
        Kind("release", settles=True),
        Kind("cancel", of_execution=False, settles=True),
        Kind("stop", of_execution=False, settles=True),
        Kind("retry", of_execution=False, settles=True),
    )
}


class Transitions:
    """Carries out one kind of call for many tasks, and signals after the commit what it meant."""

    def __init__(self, kind: Kind, database: Database, signals: Signals) -> None:
        self._kind = kind
        self._database = database
        self._signals = signals

    async def run(self, elements: Sequence[TransitionElement]) -> Sequence[Outcome]:
        """One outcome per element, in order; a flush of the batcher."""
        args = self._arguments(elements)
        rows = await self._database.fetch(self._kind.statement, *args, *((False,) if self._kind.settles else ()))
        self._signals.changed([row for row in rows if row["applied"]])
        outcomes = self._outcomes(elements, rows)
        with partly_done():
            if self._kind.settles:
                limited = [row["n"] - 1 for row in rows if row["limited"] and outcomes[row["n"] - 1] is AGAIN]
                for n, outcome in zip(limited, await self._run_limited([elements[n] for n in limited]), strict=True):
                    outcomes[n] = outcome
            await confirm_repeats(self._database, outcomes)
        return outcomes

    async def _run_limited(self, elements: Sequence[TransitionElement]) -> list[Outcome]:
        if not elements:
            return []
        refused: dict[str, Outcome] = {}
        async with self._database.connection() as connection, connection.transaction():
            if self._kind.statement == "retry":
                refused = await self._not_retried(connection, elements)
            allowed = [element for element in elements if element.key not in refused]
            rows = await connection.fetch(SQL[self._kind.statement], *self._arguments(allowed), True)
            admitted = await gates.settle(connection, gates.changes(row for row in rows if row["applied"]))
        self._signals.queued(admitted)
        self._signals.changed([row for row in rows if row["applied"]])
        outcomes = iter(self._outcomes(allowed, rows))
        return [refused[e.key] if e.key in refused else next(outcomes) for e in elements]

    @staticmethod
    async def _not_retried(connection: Connection, elements: Sequence[TransitionElement]) -> dict[str, Outcome]:
        """Locks tasks and then the gates that they need; refuses those whose queue has no room.

        A task that somebody else has locked goes again: the gates that it needs are not among the locked ones.
        """
        await connection.execute(SQL["hold_definitions"])
        rows = await connection.fetch(SQL["lock_retries"], [element.key for element in elements])
        needed = gates.needed((row["name"], row["gate"], row["queue_gate"]) for row in rows)
        opened = await gates.open_gates(connection, needed)
        skipped = {element.key for element in elements} - {row["id"] for row in rows}
        full = gates.refuse_over_limit([(row["id"], row["queue_gate"]) for row in rows], opened)
        return {**dict.fromkeys(skipped, AGAIN), **full}

    def _arguments(self, elements: Sequence[TransitionElement]) -> list[object]:
        args: list[object] = [[element.call.task_id for element in elements]]
        if self._kind.of_execution:
            args.append([element.call.exec_id for element in elements])
        args.append([element.call.call_id for element in elements])
        args.extend([element.values[i] for element in elements] for i in range(self._kind.columns))
        args.extend(self._kind.constants)
        return args

    def _outcomes(self, elements: Sequence[TransitionElement], rows: Sequence[Record]) -> list[Outcome]:
        found: list[Any] = [None] * len(elements)
        for row in rows:
            found[row["n"] - 1] = row
        return [_outcome(element.call, row) for element, row in zip(elements, found, strict=True)]


def _outcome(call: Call, row: Record | None) -> Outcome:
    if row is not None and row["applied"]:
        return Done(row)
    judged = judge_row(call, row)
    if not isinstance(judged, Again) or row is None or row["obstacle"] is None:
        return judged
    return Obstacle(row["obstacle"], row)


async def confirm_repeats(database: Database, outcomes: Iterable[object]) -> None:
    """What is answered as done before stays done: perhaps nobody has heard yet that it is, nor a standby."""
    if any(isinstance(outcome, Done) and outcome.repeated for outcome in outcomes):
        await database.confirm()


def judge_row(call: Call, row: Row | None) -> Done | TaskRpcError | Again:
    """What a call is that changed nothing: a repeat, refused, or one that fits and belongs into the next flush."""
    seen = None
    if row is not None:
        seen = Seen(row["status"], row["outcome"], row["exec_id"], row["call"], row["call_id"])
    try:
        verdict = judge(call, seen)
    except TaskRpcError as refusal:
        return refusal
    if row is not None and verdict is Verdict.REPEAT:
        return Done(answered_row(row), repeated=True)
    return AGAIN
