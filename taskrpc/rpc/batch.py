"""Carries out one call or a list of them: in order, neighbours of one method together."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from taskrpc.core.json_text import JsonText
from taskrpc.core.model import Resource
from taskrpc.errors import TaskRpcError
from taskrpc.rpc import definitions as _definitions  # noqa: F401  (enters its methods into the table)
from taskrpc.rpc import flows as _flows  # noqa: F401
from taskrpc.rpc import namespaces as _namespaces  # noqa: F401
from taskrpc.rpc import scheduler as _scheduler  # noqa: F401
from taskrpc.rpc import subscriptions as _subscriptions  # noqa: F401
from taskrpc.rpc import tasks as _tasks  # noqa: F401
from taskrpc.rpc import workflows as _workflows  # noqa: F401
from taskrpc.rpc.access import permitted, told
from taskrpc.rpc.defects import defect
from taskrpc.rpc.registry import Method, find, goes_in_turn
from taskrpc.rpc.services import Context, Services

Answer = Resource | TaskRpcError

MOST_ANSWERED_BYTES: Final = 32 * 2**20
MOST_TOGETHER: Final = 100
# Reading has few connections, and each of these may answer as much as a whole batch may.
_TOGETHER: Final = {"status": 10, "get": 10, "result": 10, "list": 1, "poll": 10, "long-poll": 10}


class Entry(NamedTuple):
    """One call as it came. `unanswered`: nobody gets its answer, so it hands out no tasks."""

    method: str
    params: Mapping[str, object]
    unanswered: bool = False


async def carry_out_one(services: Services, context: Context, entry: Entry) -> Answer:
    """The result of one call, or its refusal; a defect is logged and answered as `internal-error`."""
    try:
        method = find(entry.method)
        if context.access is None:
            return await _begun(services, context, entry, method, method.parse(entry.params))
        params = method.parse(entry.params)
        allowed = permitted(services, context.access, method.name, params)
        del params  # thousands of calls wait here
        return await _begun(services, context, entry, method, await allowed)
    except TaskRpcError as refusal:
        return refusal if context.access is None else told(context.access, refusal)
    except Exception:
        return defect(entry.method)


def _begun(services: Services, context: Context, entry: Entry, method: Method, params: Any) -> Awaitable[Resource]:
    if entry.unanswered and method.hands_out(params):
        return _nothing()
    return method.handler(services, context, params)


async def _nothing() -> Resource:
    return {}


def _runs(entries: Sequence[Entry | TaskRpcError]) -> Iterator[list[Entry | TaskRpcError]]:
    for _, group in groupby(entries, key=_kind):
        run = list(group)
        last = run[-1:] if run[-1] is entries[-1] and len(run) > 1 and _may_wait(run[-1]) else []
        run = run[: len(run) - len(last)]
        together = _TOGETHER.get(_short_name(run[0]), MOST_TOGETHER)
        yield from (run[n : n + together] for n in range(0, len(run), together))
        if last:
            yield last


def _short_name(entry: Entry | TaskRpcError) -> str:
    return entry.method.rpartition("/")[2] if isinstance(entry, Entry) else ""


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
    may wait, and only if nothing has been handed out yet. When the answers have become too large, or the caller is
    gone, the rest is not carried out.
    """
    answers: list[Answer] = []
    size = 0
    for run in _runs(entries):
        refusal = _no_more(size, context)
        if refusal is not None:
            answers += [entry if isinstance(entry, TaskRpcError) else refusal for entry in run]
            continue
        is_last = len(answers) + len(run) == len(entries)
        may_wait = is_last and len(run) == 1 and not context.handed_out
        circumstances = Context(context.caller, may_wait, context.handed_out, context.access)
        refused = [entry for entry in run if isinstance(entry, TaskRpcError)]  # all of a run, or none
        calls = [carry_out_one(services, circumstances, entry) for entry in run if isinstance(entry, Entry)]
        answers += refused or await _side_by_side(calls)
        context.handed_out = circumstances.handed_out
        if not is_last:  # nothing comes after it that its size could keep out
            size += sum(weight(answer) for answer in answers[-len(run) :])
    return answers


async def _side_by_side(calls: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """The answers of calls that run beside each other; none of them raises."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        await asyncio.wait(tasks)  # takes four fifths of the time that `asyncio.gather` does
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    return [task.result() for task in tasks]


def _no_more(size: int, context: Context) -> TaskRpcError | None:
    if context.caller.is_gone:
        return TaskRpcError("unavailable", "The caller is gone; this call was not carried out")
    if size > MOST_ANSWERED_BYTES:
        return TaskRpcError(
            "invalid-request",
            f"The answers of this batch have passed {MOST_ANSWERED_BYTES} bytes; this call was not carried out: "
            "send the rest in another batch",
        )
    return None


def weight(answer: object) -> int:
    """About how many bytes an answer will have: those of its documents."""
    total = 0
    parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ()
    for part in parts:
        kind = type(part)
        if kind is str:
            continue  # most are
        if kind is JsonText:
            total += len(part.text)
        elif kind is dict or kind is list:
            total += weight(part)
    return total
