"""Keeps workflows going: works off their inboxes, after whatever was put in, and now and then what was forgotten."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Batcher, Spawn
from taskrpc.store.database import Database
from taskrpc.store.inboxes import Attended, Inbox, Inboxes

log = logging.getLogger(__name__)

SLOW_POLL_SECONDS: Final = 1.0


class Pump:
    """The pump of one server. `look` has to be called now and then: it finds what a server left behind that died."""

    def __init__(self, inboxes: Inboxes, database: Database, spawn: Spawn) -> None:
        self._inboxes = inboxes
        self._spawn = spawn
        self._batcher: Batcher[Inbox, Attended] = Batcher("pump", database, spawn, inboxes.run)

    def wake(self, workflow_ids: Iterable[str]) -> None:
        """Something was put into the inboxes of these workflows."""
        self._spawn(self.attend(workflow_ids))

    async def attend(self, workflow_ids: Iterable[str]) -> None:
        """Works off these inboxes; what cannot be done now is left to `look`."""
        inboxes = [Inbox(workflow_id) for workflow_id in set(workflow_ids)]
        outcomes = await asyncio.gather(*(self._batcher.submit(inbox) for inbox in inboxes), return_exceptions=True)
        for inbox, outcome in zip(inboxes, outcomes, strict=True):
            if isinstance(outcome, TaskRpcError):
                log.info("the inbox of workflow %s has to wait: %s", inbox.key, outcome)

    async def look(self) -> float:
        """Works off what nobody was told of."""
        await self.attend(await self._inboxes.find_unattended())
        return SLOW_POLL_SECONDS
