"""A connection for the length of a block, and what may come of the block: done, refused, or nobody knows."""

import logging
from collections.abc import Callable
from typing import Final

import asyncpg

from taskrpc.errors import TaskRpcError
from taskrpc.store.lane import Backend, Lane, LaneConnection

log = logging.getLogger(__name__)

_TURN_SECONDS: Final = 5.0

LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class CommitUnknown(Exception):
    """Nobody knows whether what was sent has been committed and will stay: it may have been, or may yet be.

    The connection broke while a statement was under way, and `backend` may still be about to commit; or the commit
    was done at the primary alone, and nothing is about to happen (`backend` is None).
    """

    def __init__(self, backend: Backend | None, message: str = "the connection to the database broke") -> None:
        super().__init__(message)
        self.backend = backend


def unavailable(reason: str) -> TaskRpcError:
    """`unavailable`: nothing was done, the call may be sent again."""
    return TaskRpcError("unavailable", f"{reason}; nothing was done, try again", {"retryAfter": 1})


def _was_cut_off(connection: LaneConnection, error: BaseException) -> bool:
    """Whether it was ended between two messages of one statement: asyncpg has no protocol any more to send the next."""
    return isinstance(error, AttributeError) and connection.is_closed()


class Loan:
    """A connection of a lane for the length of a block; tells what breaks in the block from what is only refused.

    `refused` is told why no work can be done at all, `doubted` why one connection broke, `complained` why work that was
    sent could not be done. Raises `unavailable` when nothing was done, and CommitUnknown.
    """

    __slots__ = ("_complained", "_connection", "_doubted", "_lane", "_refused")

    def __init__(
        self,
        lane: Lane,
        refused: Callable[[BaseException], None],
        doubted: Callable[[], None],
        complained: Callable[[BaseException], None],
    ) -> None:
        self._lane = lane
        self._refused = refused
        self._doubted = doubted
        self._complained = complained

    async def __aenter__(self) -> LaneConnection:
        lane = self._lane
        try:
            await lane.wait_turn(_TURN_SECONDS)
        except TimeoutError:
            raise unavailable("This server has too much to do at the moment") from None
        try:
            self._connection = await lane.take()
        except BaseException as error:
            lane.end_turn()
            if isinstance(error, (asyncpg.PostgresError, *LOST)):  # whatever the reason, nothing was sent
                self._refused(error)
                raise unavailable("The database cannot be reached") from error
            raise
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        connection = self._connection
        try:
            if error is not None:
                self._tell_apart(error)
            elif connection.given_up is not None:
                # Such a commit is answered like any other. But if the primary is lost now, it never was.
                raise CommitUnknown(None, connection.given_up)
        finally:
            self._lane.put_back(connection)
            self._lane.end_turn()

    def _tell_apart(self, error: BaseException) -> None:
        connection = self._connection
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):  # this node is no primary any more
            connection.terminate()
            self._refused(error)
            raise unavailable("The database takes no writes") from error
        if isinstance(error, asyncpg.InsufficientResourcesError):  # a full disk, no memory: it was rolled back
            self._complained(error)
            raise unavailable(f"The database cannot work: {error}") from error
        if not isinstance(error, Exception):
            connection.terminate()  # cancelled: nobody waits for the end of the statement
        elif isinstance(error, LOST) or _was_cut_off(connection, error):
            connection.terminate()
            self._doubted()
            raise CommitUnknown(connection.backend) from error
