"""The history of a run: what clients asked and heard, what was done to the parties, what the log tells; in JSON lines.

Each line has a `kind`:

    run         what the run is: seed, definitions, `wall`: the wall clock's seconds when `at` was read; `complete`;
                `skipped`: the faults that were not possible, with the reasons
    invoke      a call is sent: op, client, server, method, params
    ok          its answer: op, answer
    fail        its refusal: op, error; it has not taken effect
    info        it got no answer: it may have happened, or may yet
    fault       something is done to a party: number, fault, target
    healed      and is over, the party answers again: number, and for answers that were dropped how many (hits)
    defect      a server wrote a traceback to its log: server, text
    stall       the recorder itself did not get the processor: since
    mark        a point in time by its name: faults-over, drained
    transition  one resource of AidboxTaskLog
    resource    a task, decision or workflow as it is at the end

`at` is in seconds of the machine's monotonic clock, which all processes of the machine share, and libfaketime leaves
alone. A process that is killed leaves a last line that is cut off; whatever it invoked is `info`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Final, Literal

from taskrpc.core.definition import DefinitionSpec
from tests.faults.reach import Fault, Reach
from tests.faults.windows import Window

Record = dict[str, Any]
End = Literal["ok", "fail", "info"]

# Errors that say that a call may have happened, or may yet.
OPEN_ENDED: Final = frozenset({"outcome-unknown", "internal-error"})
WORKFLOW: Final = "AidboxWorkflow"


@dataclass(slots=True)
class Operation:
    """One call. `heard` is its result (ok), its error (fail, or an error that leaves it open), or nothing."""

    op: str
    client: str
    server: str
    method: str
    params: Record
    invoked: float
    completed: float = inf
    end: End = "info"
    heard: Any = None

    @property
    def name(self) -> str:
        """The method without its prefix."""
        return self.method.removeprefix("awf.")

    @property
    def error_type(self) -> str | None:
        return self.heard["type"] if self.end != "ok" and isinstance(self.heard, dict) else None

    def handed_out(self) -> list[Record]:
        """The tasks that its answer gave to the client."""
        return list(self.heard.get("resources", ())) if self.end == "ok" else []


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the log, `at` on the recorder's clock: when its transaction began."""

    subject: str
    seq: int
    kind: str
    action: str
    before: str | None
    after: str | None
    exec_id: str | None
    at: float

    @property
    def what(self) -> str:
        """What happened, as the tables of edges name it."""
        name = self.action.rpartition("/")[2]
        return "create" if name == "create-and-execute" else name


@dataclass
class History:
    """A whole run, in the order of time."""

    run: Record = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    stalls: list[Window] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    listed: list[Record] = field(default_factory=list)
    defects: list[Record] = field(default_factory=list)

    @cached_property
    def resources(self) -> dict[str, Record]:
        """What is there at the end, by id."""
        return {resource["id"]: resource for resource in self.listed}

    @cached_property
    def of_subject(self) -> dict[str, list[Transition]]:
        """The transitions of each task and workflow, in their order."""
        groups: defaultdict[str, list[Transition]] = defaultdict(list)
        for transition in self.transitions:
            groups[transition.subject].append(transition)
        return dict(groups)

    @cached_property
    def _specs(self) -> dict[str, DefinitionSpec]:
        return {name: DefinitionSpec.model_validate(fields) for name, fields in self.run.get("definitions", {}).items()}

    def spec(self, resource: Record) -> DefinitionSpec:
        """The definition that times a task, decision or workflow."""
        is_flow = "workflow-definition" in resource or resource["resourceType"] == WORKFLOW
        name: str = resource.get("workflow-definition") or resource["definition"]
        return self._specs.get(name) or (DefinitionSpec(kind="workflow") if is_flow else DefinitionSpec())

    @cached_property
    def reach(self) -> Reach:
        """What the faults could do to whom."""
        return Reach(self.faults, self.stalls, self.run.get("servers", ()))


def read_history(place: Path) -> History:
    """The history in a directory of `*.jsonl` files, or in one such file. Raises ValueError for one that has no run."""
    files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    history = history_of(record for file in files for record in _records(file))
    if not history.run:
        raise ValueError(f"{place} holds no history: there is no line of kind run")
    return history


def _records(file: Path) -> Iterator[Record]:
    with file.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # else its writer was killed while it wrote
                yield json.loads(line)


class _Reader:
    """Puts a history together. What completes something may be read before what it completes."""

    def __init__(self) -> None:
        self._history = History()
        self._operations: dict[str, Operation] = {}
        self._faults: dict[int, Fault] = {}
        self._completions: list[Record] = []
        self._healings: list[Record] = []
        self._logged: list[Record] = []

    def take(self, record: Record) -> None:
        """One line."""
        match record["kind"]:
            case "run":
                self._history.run = record
            case "invoke":
                self._operations[record["op"]] = _invoked(record)
            case "ok" | "fail" | "info":
                self._completions.append(record)
            case "healed":
                self._healings.append(record)
            case "transition":
                if "status-after" in record["resource"]:  # else it is what a flow says
                    self._logged.append(record["resource"])
            case _:
                self._take_event(record)

    def _take_event(self, record: Record) -> None:
        match record["kind"]:
            case "fault":
                number = record["number"]
                self._faults[number] = Fault(number, record["fault"], record["target"], record["at"])
            case "stall":
                self._history.stalls.append((record["since"], record["at"]))
            case "mark":
                self._history.marks[record["name"]] = record["at"]
            case "resource":
                self._history.listed.append(record["resource"])
            case "defect":
                self._history.defects.append(record)

    def history(self) -> History:
        """What was read, in the order of time."""
        for record in self._completions:
            _complete(self._operations[record["op"]], record)
        for record in self._healings:
            fault = self._faults[record["number"]]
            fault.healed, fault.hits = record["at"], record.get("hits", 0)
        history = self._history
        history.operations = sorted(self._operations.values(), key=lambda operation: operation.invoked)
        history.faults = sorted(self._faults.values(), key=lambda fault: fault.began)
        history.transitions = _transitions(self._logged, history.run)
        return history


def history_of(records: Iterable[Record]) -> History:
    """The history that records tell, in whatever order they come."""
    reader = _Reader()
    for record in records:
        reader.take(record)
    return reader.history()


def _invoked(record: Record) -> Operation:
    return Operation(
        op=record["op"],
        client=record["client"],
        server=record["server"],
        method=record["method"],
        params=record["params"],
        invoked=record["at"],
    )


def _complete(operation: Operation, record: Record) -> None:
    operation.end = record["kind"]
    operation.heard = record.get("answer") if record["kind"] == "ok" else record.get("error")
    if record["kind"] != "info":
        operation.completed = record["at"]


def _transitions(logged: Sequence[Record], run: Record) -> list[Transition]:
    """In the order in which they were written: who was let in by another's commit writes later, whatever clocks say."""
    offset = run.get("at", 0.0) - run.get("wall", 0.0)
    found = []
    for resource in logged:
        subject = resource["subject"]
        found.append(
            Transition(
                subject=subject["id"],
                seq=int(resource["id"].rpartition(".")[2]),
                kind=subject["resourceType"],
                action=resource["action"],
                before=resource.get("status-before"),
                after=resource.get("status-after"),
                exec_id=resource["action-params"].get("execId"),
                at=datetime.fromisoformat(resource["meta"]["createdAt"]).timestamp() + offset,
            )
        )
    return sorted(found, key=lambda transition: transition.seq)
