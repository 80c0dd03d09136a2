"""Executions as one server has them in memory: as many as fit, the others are read when they are needed."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from taskrpc.core.flow.advance.facts import Key
from taskrpc.core.flow.advance.state import ELSEWHERE, Changes, Run, State
from taskrpc.core.flow.advance.work import INNER
from taskrpc.engine.flows import LoadedFlow
from taskrpc.store.workflows import RunRecord

MOST_BYTES: Final = 64 * 2**20
# Outputs that are longer stay in the database; a step that needs them asks for them.
LONGEST_OUTPUTS: Final = 1024
# What a run and an execution take in memory besides their texts, roughly.
_BYTES_OF_RUN: Final = 1500
_BYTES_OF_EXECUTION: Final = 5000


@dataclass(slots=True)
class Cached:
    """An execution in memory: as it was in `version`, its workflow in `status`; `size` in bytes, roughly."""

    key: int
    id: str
    version: int
    status: str
    loaded: LoadedFlow
    state: State
    size: int
    templates: dict[Key, Any] = field(default_factory=dict)

    def apply(self, changes: Changes, written: Sequence[RunRecord]) -> None:
        """What a step has made of it, after its commit; `written` are the runs as they were stored."""
        new = sum(n not in self.state.runs for n in changes.runs)
        self.state.apply(changes)
        self.version += 1
        self.size += (new - len(changes.gone)) * _BYTES_OF_RUN
        for record in written:
            run = self.state.runs[record.n]
            if len(record.outputs or "") > LONGEST_OUTPUTS and may_be_elsewhere(run):
                run.outputs = ELSEWHERE
            else:
                self.size += len(record.outputs or "") + len(record.fixed or "")


def may_be_elsewhere(run: Run) -> bool:
    """Whether only expressions read the outputs of a run any more."""
    return run.ended and run.block is None and run.role not in INNER


def weight(head: str, runs: Iterable[Mapping[str, str | None]]) -> int:
    """How many bytes an execution takes that was read from these texts."""
    texts = sum(_BYTES_OF_RUN + sum(len(run[name] or "") for name in ("body", "fixed", "outputs")) for run in runs)
    return _BYTES_OF_EXECUTION + len(head) + texts


class Executions:
    """The executions that were needed last, MOST_BYTES of them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Cached] = OrderedDict()
        self._size = 0

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._kept

    @property
    def size(self) -> int:
        """How many bytes are in use, roughly."""
        return self._size

    def take(self, execution_id: str) -> Cached | None:
        """An execution, out of the cache: whoever has it may change it, and puts it back."""
        found = self._kept.pop(execution_id, None)
        if found is not None:
            self._size -= found.size
        return found

    def put(self, cached: Cached) -> None:
        """Keeps an execution, in place of those that were not needed for the longest time. One always stays: to read a
        large one for each of its steps would cost far more than to have it."""
        self.take(cached.id)
        self._kept[cached.id] = cached
        self._size += cached.size
        while self._size > self._most_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size -= dropped.size
