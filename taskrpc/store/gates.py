"""Limits by admission: a limited task is held until its gate admits it, and whoever leaves passes the slot on.

A gate's row is locked first and looked at in a statement after that, in one transaction with the change of the tasks;
so `used` never exceeds `lim`, whatever runs side by side, and at every commit a gate that holds tasks is full.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from taskrpc.core.model import Queue
from taskrpc.errors import TaskRpcError
from taskrpc.store.database import Connection, Record
from taskrpc.store.statements import SQL

_HOLDS_SLOT: Final = frozenset({"requested", "in-progress"})


def _holds_slot(status: str, held: bool) -> bool:
    return status in _HOLDS_SLOT or (status == "ready" and not held)


def changes(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What changed rows mean for their gates: key to change of `used` (0: the gate has to look for held tasks).

    A row carries the task after the change, `status_before` and, where a held task can change, `held_before`.
    """
    booked: Counter[str] = Counter()
    for row in rows:
        if row["gate"] is not None:
            before = _holds_slot(row["status_before"], row.get("held_before", False))
            after = _holds_slot(row["status"], row["held"])
            booked[row["gate"]] += after - before
        if row["queue_gate"] is not None:
            booked[row["queue_gate"]] += (row["status"] != "done") - (row["status_before"] != "done")
    return booked


def needed(wanting: Iterable[tuple[str, str | None, str | None]]) -> dict[str, tuple[str, bool]]:
    """What `open_gates` has to open for tasks: `wanting` are their definitions' names, gates and queue gates."""
    keys: dict[str, tuple[str, bool]] = {}
    for name, gate, queue_gate in wanting:
        keys |= {key: (name, key == queue_gate) for key in (gate, queue_gate) if key is not None}
    return keys


async def open_gates(connection: Connection, wanted: Mapping[str, tuple[str, bool]]) -> list[Record]:
    """Makes and locks gates inside the caller's transaction, which holds the definitions.

    `wanted` maps keys to the definition's name and whether the key counts its queue. A definition that lost its limit
    meanwhile gets no gate.
    """
    if not wanted:
        return []
    keys = sorted(wanted)
    names, counting = [wanted[key][0] for key in keys], [wanted[key][1] for key in keys]
    rows: list[Record] = await connection.fetch(SQL["open_gates"], keys, names, counting)
    return rows


async def settle(connection: Connection, booked: Mapping[str, int]) -> list[Queue]:
    """Books changes and admits held tasks, inside the caller's transaction; answers the queues that got tasks."""
    if not booked:
        return []
    keys = sorted(booked)
    await connection.fetch(SQL["lock_gates"], keys)
    admitted: list[Record] = await connection.fetch(SQL["settle"], keys, [booked[key] for key in keys])
    return [(row["kind"], row["name"]) for row in admitted]


def refuse_over_limit(wanting: Iterable[tuple[str, str | None]], locked: Iterable[Record]) -> dict[str, TaskRpcError]:
    """Which tasks a full queue refuses: `wanting` are ids and their queue gates, in order; `locked` the gates' rows."""
    room = {row["key"]: row["lim"] - row["used"] for row in locked}
    limits = {row["key"]: row["lim"] for row in locked}
    refused = {}
    for task_id, key in wanting:
        if key is None or key not in room:
            continue
        if room[key] > 0:
            room[key] -= 1
        else:
            refused[task_id] = queue_limit_reached(key.removeprefix("queue/"), limits[key])
    return refused


def queue_limit_reached(name: str, limit: int) -> TaskRpcError:
    """`queue-limit-reached`: nothing was queued."""
    return TaskRpcError(
        "queue-limit-reached",
        f"{name} has reached its queueLimit of {limit} tasks that are not done; nothing was queued",
        {"definition": name, "queueLimit": limit, "retryAfter": 1},
    )
