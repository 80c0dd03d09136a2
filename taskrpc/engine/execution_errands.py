"""What executions ask for that is done after the commit of a step: each an event in their own inbox until it is done.

All of it can be done twice: a server may die before it forgets the event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import orjson

from taskrpc.core.flow.records import document_text
from taskrpc.core.model import Row
from taskrpc.engine.execution_chores import Chores
from taskrpc.engine.execution_commands import ExecutionCommands
from taskrpc.engine.tasks import Tasks
from taskrpc.engine.workflows import Workflows
from taskrpc.errors import TaskRpcError
from taskrpc.store.executions import ExecutionStore

ERRANDS: Final = frozenset({"unwanted", "chore", "again"})
# What was to be canceled and is so, or is gone.
_OVER: Final = frozenset({"task-has-been-done", "workflow-has-been-done", "task-not-found", "workflow-not-found"})


class Errands:
    """Does what steps have left to do."""

    def __init__(
        self, store: ExecutionStore, chores: Chores, commands: ExecutionCommands, tasks: Tasks, workflows: Workflows
    ) -> None:
        self._store = store
        self._chores = chores
        self._commands = commands
        self._tasks = tasks
        self._workflows = workflows
        self._kinds: Mapping[str, Callable[[str, Row], Awaitable[None]]] = {"chore": self._chore, "again": self._again}

    async def do(self, execution_id: str, rows: Sequence[Row]) -> None:
        """Does what these events ask for. Raises `unavailable`: what is left is done later."""
        if unwanted := [row for row in rows if row["kind"] == "unwanted"]:
            await self._discard(execution_id, unwanted)
        for row in rows:
            if row["kind"] in self._kinds:
                await self._kinds[row["kind"]](execution_id, row)

    async def _discard(self, execution_id: str, rows: Sequence[Row]) -> None:
        """Cancels tasks and subflows; what is done or gone needs no cancel."""
        open_ones = {(row["subject_kind"], row["subject"]) for row in rows if row["subject_kind"] is not None}
        await asyncio.gather(*(self._cancel(kind, subject) for kind, subject in sorted(open_ones)))
        await self._store.forget_unwanted(execution_id, [row["seq"] for row in rows])

    async def _cancel(self, kind: str, subject: str) -> None:
        try:
            if kind == "workflow":
                await self._workflows.cancel(subject, None)
            else:
                await self._tasks.change("cancel", subject)
        except TaskRpcError as refusal:
            if refusal.type not in _OVER:
                raise

    async def _chore(self, execution_id: str, row: Row) -> None:
        body = await self._chores.outcome(execution_id, orjson.loads(row["body"]))
        await self._store.done_chore(execution_id, row["seq"], document_text(body))

    async def _again(self, execution_id: str, row: Row) -> None:
        """Restarts a subflow that has failed; the end of one that cannot be restarted is told once more."""
        try:
            if row["outcome"] == "failed":
                await self._commands.restart(row["subject"], f"again-{row['seq']}")
        except TaskRpcError as refusal:
            if refusal.type not in ("cannot-restart", "workflow-not-found"):
                raise
        await self._store.tell_end_again(execution_id, row["seq"], row["subject"])
