"""Work that is sent again when nobody knows what became of its commit, or another transaction was in its way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.database import CommitUnknown, Database, Record, unavailable
from taskrpc.store.lane import Backend

RECOVERY_SECONDS: Final = 5.0
# The types of errors that say nothing about what was asked for: it may be tried again.
OUTAGES: Final = frozenset({"unavailable", "outcome-unknown"})
_PAUSE_SECONDS: Final = 0.002

# The transaction was rolled back because of another one, or because a newer server has changed the tables since its
# statements were prepared. Outside of transactions asyncpg prepares them again by itself.
CONFLICTS: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,
)

T = TypeVar("T")


async def through_outages(database: Database, work: Callable[[], Awaitable[T]]) -> T:
    """Carries out work that finds out, when it is done again, whether it was done before.

    Raises `unavailable` when nothing was done, `outcome-unknown` when the end of a transaction was not heard of, or no
    standby has it, and it could not be found out within RECOVERY_SECONDS from then, and whatever else the work raises.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + RECOVERY_SECONDS
    doubt = False
    while True:
        try:
            answer = await work()
            if doubt:  # it may have found that it was done before
                await database.confirm()
            return answer
        except CONFLICTS as error:
            if clock() >= deadline:
                raise _gave_up(doubt) from error
        except CommitUnknown as lost:
            if not doubt:  # perhaps after it had hung for long: what counts is the time since then
                doubt, deadline = True, clock() + RECOVERY_SECONDS
            await _settle(database, lost.backend, deadline)
        except TaskRpcError:
            if not doubt:
                raise
            await _settle(database, None, deadline)
        await asyncio.sleep(_PAUSE_SECONDS)


async def fetch_through_outages(database: Database, statement: str, *args: object) -> list[Record]:
    """Runs one named statement that may be run twice, since that ends in the same; raises as `through_outages` does."""
    return await through_outages(database, lambda: database.fetch(statement, *args))


@contextmanager
def partly_done() -> Iterator[None]:
    """For what comes after the first commit of a work: a refusal there must not say of all of it that nothing was done.

    Raises CommitUnknown instead, so that `through_outages` finds out what was.
    """
    try:
        yield
    except TaskRpcError as refusal:
        raise CommitUnknown(None, refusal.message) from refusal


async def _settle(database: Database, backend: Backend | None, deadline: float) -> None:
    """Waits until the work can be done again: what was sent on a lost connection may still be about to commit."""
    clock = asyncio.get_running_loop().time
    back = await database.wait_available(max(deadline - clock(), 0))
    if back and backend is not None:
        await database.wait_backend_gone(backend, deadline)
    if not back or clock() >= deadline:
        raise _gave_up(doubt=True)


def _gave_up(doubt: bool) -> TaskRpcError:
    if not doubt:
        return unavailable("Another transaction is in the way")
    return TaskRpcError(
        "outcome-unknown",
        "The commit was not heard of, or not waited for, and what became of it not found out in time: repeat the call",
        {"retryAfter": 1},
    )
