"""Carries out `awf.task/callback`: posts outcomes to those who asked for them, on every server.

A callback is a task like any other: it can be seen, it is tried again with growing pauses, and by hand.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

import orjson

from taskrpc.core.built_in import CALLBACK
from taskrpc.core.callback import Network, signature
from taskrpc.core.model import Queue, Row
from taskrpc.engine.calling_out import Outside
from taskrpc.engine.loop import run_every
from taskrpc.engine.tasks import Tasks
from taskrpc.errors import TaskRpcError
from taskrpc.store.batcher import Spawn
from taskrpc.store.claims import Claims
from taskrpc.store.database import CommitUnknown, Database

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 20
LOOK_SECONDS: Final = 1.0
_QUEUE: Final[Queue] = ("task", CALLBACK)


class Callbacks:
    """One server's share of the callbacks, MOST_AT_ONCE at a time."""

    def __init__(
        self, database: Database, claims: Claims, tasks: Tasks, spawn: Spawn, allowed: Sequence[Network]
    ) -> None:
        self._database = database
        self._claims = claims
        self._tasks = tasks
        self._spawn = spawn
        self._outside = Outside(allowed)
        self._secret: bytes | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._poke = asyncio.Event()

    def changed(self, rows: Sequence[Any]) -> None:
        """Tasks have changed on this server: one that is done may have a callback."""
        if any(row.get("callback") is not None for row in rows):
            self._poke.set()

    async def run(self) -> None:
        """Carries out callbacks for ever; those under way are given back when the server stops."""
        try:
            await run_every("callbacks", self._look, self._poke)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._outside.close()

    async def _look(self) -> float:
        room = MOST_AT_ONCE - len(self._under_way)
        if room <= 0 or not await self._claims.find_ready([_QUEUE]):
            return LOOK_SECONDS
        rows, more = await self._claims.claim([_QUEUE], room, start=True, thorough=True)
        for row in rows:
            task = asyncio.ensure_future(self._carry_out(row))
            self._under_way.add(task)
            task.add_done_callback(self._over)
        return 0.0 if more and len(rows) < room else LOOK_SECONDS

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._poke.set()

    async def _carry_out(self, row: Row) -> None:
        try:
            name, document = await self._outcome(row)
            await self._tasks.finish(name, row["id"], row["exec_id"], None, document)
        except asyncio.CancelledError:
            self._spawn(self._claims.give_back([row]))
            raise
        except (CommitUnknown, TaskRpcError) as error:  # its lease brings it back, if it is open still
            log.info("callback %s ends here: %s", row["id"], error)

    async def _outcome(self, row: Row) -> tuple[str, dict[str, object]]:
        """`success` or `fail`, and its result or error."""
        try:
            answered = await self._post(row)
        except TaskRpcError as error:
            return "fail", error.to_wire()
        except CommitUnknown:
            raise
        except Exception as error:
            log.exception("callback %s", row["id"])
            return "fail", {"type": "internal-error", "message": type(error).__name__}
        told: dict[str, object] = {"status": answered.status}
        if 200 <= answered.status < 300:
            return "success", told
        told |= {"type": "callback-refused", "message": f"It answered {answered.status}", "body": answered.body}
        return "fail", told

    async def _post(self, row: Row) -> Any:
        params, target = orjson.loads(row["params"]), orjson.loads(row["callback"])
        if self._secret is None:
            self._secret = (await self._database.fetch("callback_secret"))[0]["secret"]
        body = orjson.dumps({"resource": params["resource"]})
        timestamp = int(row["updated_at"].timestamp())
        headers = {
            **target.get("headers", {}),
            "Host": _host(target["url"]),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "taskrpc",
            "Webhook-Id": row["id"],
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": signature(self._secret or b"", row["id"], timestamp, body),
        }
        return await self._outside.post(target["url"], headers, body)


def _host(url: str) -> str:
    return url.split("/", 3)[2].partition("?")[0]
