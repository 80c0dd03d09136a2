"""Carries out one call or a list of them: in order, neighbours of one method together."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from taskrpc.core.ids import uuid7
from taskrpc.core.model import Resource
from taskrpc.errors import TaskRpcError
from taskrpc.rpc import definitions as _definitions  # noqa: F401  (enters its methods into the table)
from taskrpc.rpc import tasks as _tasks  # noqa: F401
from taskrpc.rpc.registry import find, goes_in_turn
from taskrpc.rpc.services import Context, Services

log = logging.getLogger(__name__)

Answer = Resource | TaskRpcError
_NOT_CARRIED_OUT: Final[Resource] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as it came. `unanswered`: nobody gets its answer, so it hands out no tasks."""

    method: str
    params: Mapping[str, object]
    unanswered: bool = False


async def carry_out_one(services: Services, context: Context, entry: Entry) -> Answer:
    """The result of one call, or its refusal; a defect is logged and answered as `internal-error`."""
    try:
        method = find(entry.method)
        params = method.parse(entry.params)
        if entry.unanswered and method.hands_out(params):
            return _NOT_CARRIED_OUT
        return await method.handler(services, context, params)
    except TaskRpcError as refusal:
        return refusal
    except Exception:
        incident = uuid7()
        log.exception("incident %s in %s", incident, entry.method[:100])
        return TaskRpcError(
            "internal-error",
            "This is a defect of the server; its log has the incident",
            {"incident": incident},
        )


def _runs(entries: Sequence[Entry | TaskRpcError]) -> Iterator[list[Entry | TaskRpcError]]:
    for _, group in groupby(entries, key=_kind):
        run = list(group)
        if run[-1] is entries[-1] and len(run) > 1 and _may_wait(run[-1]):
            yield run[:-1]
            run = run[-1:]
        yield run


def _kind(entry: Entry | TaskRpcError) -> object:
    """Equal for neighbours that go side by side."""
    if isinstance(entry, TaskRpcError):
        return None
    return object() if goes_in_turn(entry.method) else entry.method


def _may_wait(entry: Entry | TaskRpcError) -> bool:
    return isinstance(entry, Entry) and (entry.method.endswith(("long-poll", "result")) or "poll" in entry.params)


async def carry_out(services: Services, context: Context, entries: Sequence[Entry | TaskRpcError]) -> list[Answer]:
    """One answer per entry of a batch; entries that were refused before stay as they are.

    Entries take effect in order; neighbours of one method run side by side, and so share statements. Only the last
    may wait, and only if nothing has been handed out yet.
    """
    answers: list[Answer] = []
    left = len(entries)
    for run in _runs(entries):
        left -= len(run)
        may_wait = not left and len(run) == 1 and not context.handed_out
        circumstances = Context(context.caller, may_wait, context.handed_out)
        answers += await asyncio.gather(*(_one(services, circumstances, entry) for entry in run))
        context.handed_out = circumstances.handed_out
    return answers


async def _one(services: Services, context: Context, entry: Entry | TaskRpcError) -> Answer:
    if isinstance(entry, TaskRpcError):
        return entry
    return await carry_out_one(services, context, entry)
