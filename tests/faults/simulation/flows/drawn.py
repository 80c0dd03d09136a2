"""Flows that a seed draws, and what their leaves come to: a matter of the leaf and its try, not of when it is done."""

import hashlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from taskrpc.core.flow.model import Flow
from taskrpc.core.flow.parse import parse_flow

NAMESPACE: Final = "company.team"
WORK: Final = "company/work"
# Does not answer before its time is over.
SLOW: Final = "company/slow"
CONCURRENT: Final = ("Parallel", "ForEach", "EachParallel", "Dag")
_RETRY: Final = {"type": "constant", "interval": "PT1S", "maxAttempts": 3}
_DEPTH: Final = 3
_LIMITS: Final = (0, 1, 2, 2, 3)

Document = dict[str, Any]


class Drawing:
    """One flow while it is drawn: which of its tasks may fail is in `failing`."""

    def __init__(self, id: str, chance: random.Random, subflow: str | None) -> None:
        self.failing: set[str] = set()
        self._id = id
        self._chance = chance
        self._subflow = subflow
        self._count = 0
        self._failures = chance.choice((0.0, 0.0, 0.1, 0.3))

    def flow(self) -> Flow:
        """The whole of it."""
        lists: dict[str, Any] = {"tasks": self._tasks(_DEPTH)}
        for name in ("errors", "finally", "afterExecution"):
            if self._chance.random() < 0.25:
                lists[name] = self._tasks(0)
        if self._chance.random() < 0.1:
            lists["retry"] = _RETRY
        return parse_flow({"id": self._id, "namespace": NAMESPACE, **lists})

    def _tasks(self, depth: int) -> list[Document]:
        return [self._task(depth) for _ in range(self._chance.randint(1, 3 if depth else 2))]

    def _task(self, depth: int) -> Document:
        self._count += 1
        made: Document = {"id": f"{self._id}-{self._count}"}
        if depth == 0 or self._chance.random() < 0.35:
            made |= self._leaf(made["id"])
        else:
            made |= self._block(self._chance.choice(list(_BLOCKS)), depth - 1)
            for name in ("errors", "finally"):
                if self._chance.random() < 0.2:
                    made[name] = self._tasks(0)
        for key, often, value in (("allowFailure", 0.1, True), ("retry", 0.2, _RETRY), ("disabled", 0.05, True)):
            if self._chance.random() < often:
                made[key] = value
        return made

    def _leaf(self, id: str) -> Document:
        if self._subflow is not None and self._chance.random() < 0.15:
            return {"type": "core.flow.Subflow", "namespace": NAMESPACE, "flowId": self._subflow}
        if self._chance.random() < self._failures:
            self.failing.add(id)
            if self._chance.random() < 0.2:
                return {"type": SLOW, "timeout": "PT2S"}
        return self._chance.choice(
            [{"type": WORK}] * 5
            + [{"type": "core.flow.Sleep", "duration": "PT2S"}, {"type": "core.log.Log", "message": "{{ task.id }}"}]
        )

    def _block(self, kind: str, depth: int) -> Document:
        below = self._tasks(depth)
        return {"type": f"core.flow.{kind}", **_BLOCKS[kind](self._chance, below)}


def _dag(chance: random.Random, below: list[Document]) -> Document:
    wanted = [
        {"task": each, "dependsOn": [other["id"] for other in below[:index] if chance.random() < 0.5]}
        for index, each in enumerate(below)
    ]
    return {"tasks": wanted, "concurrent": chance.choice(_LIMITS)}


def _loop(chance: random.Random, below: list[Document]) -> Document:
    frequency = {"interval": "PT1S", "maxIterations": chance.randint(1, 3)}
    return {"tasks": below, "condition": "false", "checkFrequency": frequency}


def _pause(chance: random.Random, below: list[Document]) -> Document:
    if chance.random() < 0.5:
        return {"tasks": below}
    return {"tasks": below, "pauseDuration": "PT3S", "behavior": chance.choice(("RESUME", "WARN"))}


def _for_each(chance: random.Random, below: list[Document]) -> Document:
    values = ["a", "b", "c", "d"][: chance.randint(1, 4)]
    return {"tasks": below, "values": values, "concurrencyLimit": chance.choice(_LIMITS)}


_BLOCKS: Final[Mapping[str, Callable[[random.Random, list[Document]], Document]]] = {
    "Sequential": lambda chance, below: {"tasks": below},
    "AllowFailure": lambda chance, below: {"tasks": below},
    "Parallel": lambda chance, below: {"tasks": below, "concurrent": chance.choice(_LIMITS)},
    "ForEach": _for_each,
    "EachParallel": lambda chance, below: {"tasks": below, "value": '["a", "b", "c"]'},
    "If": lambda chance, below: {"condition": chance.choice(("true", "false")), "then": below},
    "Switch": lambda chance, below: {"value": chance.choice("ab"), "cases": {"a": below, "b": []}},
    "Dag": _dag,
    "LoopUntil": _loop,
    "Pause": _pause,
}


def draw(seed: int) -> tuple[list[Flow], set[str]]:
    """A flow, with the one that is its subflow perhaps, and the ids of the leaves that may fail."""
    chance = random.Random(f"flow {seed}")
    below = Drawing("below", chance, None)
    flows = [below.flow()] if chance.random() < 0.4 else []
    main = Drawing("main", chance, "below" if flows else None)
    return [main.flow(), *flows], main.failing | below.failing


def comes_to(seed: int, failing: set[str], task: str, path: tuple[str, ...], attempt: int) -> str:
    """How a try of a leaf ends, whoever does it and whenever."""
    if task not in failing:
        return "SUCCESS"
    drawn = hashlib.sha256(f"{seed}/{task}/{path}/{attempt}".encode()).digest()[0]
    return "FAILED" if drawn < 200 else "SUCCESS"


def is_concurrent(flow: Flow) -> bool:
    """Whether some of it may be done side by side."""
    return any(task.kind in CONCURRENT for task in flow.tasks.values())
