"""An execution as texts that a store keeps, one for its head and a few for each run; and back.

What a run was given once (`fixed`) and its outputs may be large: they are texts of their own, so that a store writes
them only when they have changed.
"""

from collections import deque
from typing import Any, Final

import orjson

from taskrpc.core.flow.advance.state import Attempt, Block, Head, Run

_OPTIONS: Final = orjson.OPT_NON_STR_KEYS
# Of a run, besides its number and its parent: what is written if it is not as it is for most.
_USUAL: Final[dict[str, Any]] = {
    "value": None,
    "iteration": None,
    "attempts": [],
    "context": 0,
    "block": None,
    "tick": 0,
}


def document_text(value: object) -> str:
    """A document of an execution as JSON."""
    return orjson.dumps(value, default=list, option=_OPTIONS).decode()


def head_text(head: Head) -> str:
    """The text of a head."""
    return document_text(head)


def read_head(text: str | bytes) -> Head:
    """The head of a text."""
    fields = orjson.loads(text)
    fields["history"] = [(state, at) for state, at in fields["history"]]
    fields["variables"] = {int(context): names for context, names in fields["variables"].items()}
    fields["dispatch"], fields["visit"] = deque(fields["dispatch"]), deque(fields["visit"])
    return Head(**fields)


def run_text(run: Run) -> str:
    """The text of a run without its number, its parent, `fixed` and `outputs`."""
    fields: dict[str, Any] = {
        "task": run.task, "role": run.role, "index": run.index, "state": run.state, "history": run.history,
    }  # fmt: skip
    fields |= {name: each for name, usual in _USUAL.items() if (each := getattr(run, name)) != usual}
    return document_text(fields)


def read_run(n: int, parent: int, text: str | bytes, fixed: str | None, outputs: str | None) -> Run:
    """The run of its texts; `fixed` and `outputs` are None where nothing was kept."""
    fields = orjson.loads(text)
    fields["history"] = [(state, at) for state, at in fields["history"]]
    fields["attempts"] = [Attempt(**attempt) for attempt in fields.get("attempts", ())]
    if (block := fields.get("block")) is not None:
        block["ready"] = [(turn, index) for turn, index in block["ready"]]
        fields["block"] = Block(**block)
    kept = {} if fixed is None else orjson.loads(fixed) or {}
    return Run(n=n, parent=parent, fixed=kept, outputs=None if outputs is None else orjson.loads(outputs), **fields)
