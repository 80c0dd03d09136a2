"""The model of the store of executions: texts with a version, inboxes, timers. A step counts as a whole or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskrpc.core.flow.advance.events import Event
from taskrpc.core.flow.advance.state import TERMINATED, Changes, Run, State
from taskrpc.core.flow.records import document_text, head_text, read_head, read_run, run_text

Texts = tuple[int, str, str, str]
Timer = tuple[int, str, int]
MOST_EVENTS: Final = 5


@dataclass
class Record:
    """What is kept of one execution. `inbox`: events by their numbers; `timers`: those that have not run out."""

    version: int
    head: str
    runs: dict[int, Texts]
    inbox: dict[int, Event] = field(default_factory=dict)
    timers: set[Timer] = field(default_factory=set)


class FlowStore:
    """Keeps executions, as `store/executions` does in PostgreSQL."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._count = 0

    def insert(self, id: str, state: State) -> None:
        """A new execution; each id is inserted once."""
        assert id not in self.records
        self.records[id] = Record(0, head_text(state.head), {run.n: _texts(run) for run in state.runs.values()})

    def tell(self, id: str, event: Event) -> None:
        """Puts an event into an inbox."""
        self._count += 1
        self.records[id].inbox[self._count] = event

    def inbox(self, id: str) -> list[tuple[int, Event]]:
        """The first events, with their numbers."""
        return list(self.records[id].inbox.items())[:MOST_EVENTS]

    def load(self, id: str) -> tuple[int, State]:
        """The version of an execution, and its state as it is written."""
        record = self.records[id]
        runs = [read_run(n, *texts) for n, texts in sorted(record.runs.items())]
        return record.version, State(read_head(record.head), runs)

    def touch(self, id: str) -> None:
        """Somebody has changed the execution besides its steps: those that are under way come too late."""
        self.records[id].version += 1

    def commit(self, id: str, version: int, before: State, changes: Changes, taken: Sequence[int]) -> bool:
        """Has a step take effect if the execution is still in this version; its events are deleted with it."""
        record = self.records[id]
        if not self.is_current(record, version):
            return False
        record.version += 1
        record.head = head_text(changes.head)
        for n in changes.gone:
            del record.runs[n]
        for run in changes.runs.values():
            record.runs[run.n] = _written(record.runs, before.runs.get(run.n), run)
        self.delete(record, taken)
        over = {*changes.gone, *(run.n for run in changes.runs.values() if run.state in TERMINATED)}
        record.timers = {timer for timer in record.timers if timer[0] not in over}
        return True

    def is_current(self, record: Record, version: int) -> bool:
        """The fence."""
        return record.version == version

    def delete(self, record: Record, taken: Sequence[int]) -> None:
        """Forgets the events of a step."""
        for number in taken:
            del record.inbox[number]


def _texts(run: Run) -> Texts:
    return run.parent, run_text(run), document_text(run.fixed), document_text(run.outputs)


def _written(runs: Mapping[int, Texts], old: Run | None, run: Run) -> Texts:
    """What is written of a run; `fixed` and outputs are left as they stand if they are as before, as in SQL."""
    parent, body, fixed, outputs = _texts(run)
    if old is None or run.n not in runs:
        return parent, body, fixed, outputs
    _, _, kept_fixed, kept_outputs = runs[run.n]
    is_same = run.fixed is old.fixed, run.outputs is old.outputs
    return parent, body, kept_fixed if is_same[0] else fixed, kept_outputs if is_same[1] else outputs
