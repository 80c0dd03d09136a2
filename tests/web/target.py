"""A server that gets bad input: it has to answer in time, change nothing, and log no error."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from taskrpc.app import Running
from tests.databases import connected
from tests.services import Reply, Rpc, running_service

ANSWER_SECONDS: Final = 5.0  # milliseconds are usual; the rest is for machines that do other things as well
JSON_TYPE: Final = {"content-type": "application/json"}
YAML_TYPE: Final = {"content-type": "text/yaml"}

_HOUR_MS: Final = 3_600_000
_STATE: Final = """
    select concat_ws(' ',
        (select md5(string_agg(t::text, '|' order by id)) from taskrpc.task t),
        (select md5(string_agg(d::text, '|' order by rev)) from taskrpc.definition d),
        (select md5(string_agg(g::text, '|' order by key)) from taskrpc.gate g),
        (select md5(string_agg(l::text, '|' order by task_id, seq)) from taskrpc.log l),
        (select count(*) from taskrpc.key_value), (select count(*) from taskrpc.secret),
        (select count(*) from taskrpc.namespace_file), (select count(*) from taskrpc.template))
"""


class _Complaints(logging.Handler):
    """Keeps what was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    handler = _Complaints()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.messages
    finally:
        logging.getLogger().removeHandler(handler)


@dataclass
class Target:
    """The server, calls of it, and a task in every status: `tasks` has their ids and execIds by their names."""

    server: Running
    rpc: Rpc
    database: asyncpg.Connection
    complaints: list[str]
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)

    async def state(self) -> str:
        """A checksum of all that bad input must not change."""
        return str(await self.database.fetchval(_STATE))

    @contextlib.asynccontextmanager
    async def unharmed(self) -> AsyncIterator[None]:
        """What happens in the block takes no time, changes nothing and leaves no error in the log."""
        before = await self.state()
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
        assert await self.state() == before, "something was changed"
        assert not self.complaints, "\n".join(self.complaints)

    async def answer(self, body: bytes, headers: Mapping[str, Any] = JSON_TYPE) -> Reply:
        """What POST /rpc answers to a bad body."""
        async with self.unharmed():
            return await self.rpc.send(body, dict(headers))

    async def refusal(self, body: Any) -> tuple[int, Any]:
        """Status and error of the answer to a bad request."""
        async with self.unharmed():
            reply = await self.rpc.post(body)
        return reply.status, reply.error

    async def live_through_a_task(self) -> None:
        """A whole life cycle, after all that the server has been through."""
        task = await self.rpc.started("test/alive", params={"n": 1})
        call = {"id": task["id"], "execId": task["execId"]}
        await self.rpc.call("awf.task/notify", **call, notification="heartbeat")
        ended = (await self.rpc.call("awf.task/success", **call, result={"n": 2})).result["resource"]
        assert (ended["status"], ended["outcome"], ended["result"]) == ("done", "succeeded", {"n": 2})


@contextlib.asynccontextmanager
async def target_on(database_url: str) -> AsyncIterator[Target]:
    """A target for the length of a block, after which it has to be alive, without a single error in its log."""
    with _complaints() as complaints:
        async with (
            running_service(database_url) as server,
            Rpc(server.url) as rpc,
            connected(database_url) as database,
        ):
            target = Target(server, rpc, database, complaints)
            await _prepare(target)
            yield target
            await target.live_through_a_task()
        assert not complaints, "\n".join(complaints)


async def _prepare(target: Target) -> None:
    """Tasks in every status, whose timeouts are far away."""
    rpc = target.rpc
    for name, attempts in (("test/task", 1), ("test/again", 2)):
        timeouts = {"requestedToStartTimeout": _HOUR_MS, "inProgressTimeout": _HOUR_MS, "retryDelay": _HOUR_MS}
        await rpc.call("awf.definition/put", id=name, allowedRetryCount=attempts, **timeouts)
    await rpc.create(id="requested")
    (requested,) = await rpc.poll()
    running, other = await rpc.started(id="running"), await rpc.started(id="other")
    stopping = await rpc.started(id="stopping")
    await rpc.call("awf.task/stop", id="stopping")
    succeeded, failed = await rpc.started(id="succeeded"), await rpc.started(id="failed")
    again = await rpc.started("test/again", id="again")
    canceled = await rpc.started(id="canceled")
    for method, task in (("success", succeeded), ("fail", failed), ("fail", again)):
        (await rpc.call(f"awf.task/{method}", id=task["id"], execId=task["execId"])).result  # noqa: B018
    await rpc.call("awf.task/cancel", id="canceled")
    await rpc.create(id="waiting", executeAt="2999-01-01T00:00:00Z")
    await rpc.create(id="ready")
    executions = (requested, running, other, stopping, succeeded, failed, again, canceled)
    target.tasks = {task["id"]: {"id": task["id"], "execId": task["execId"]} for task in executions}
    nobodys = "00000000-0000-4000-8000-000000000000"
    target.tasks |= {name: {"id": name, "execId": nobodys} for name in ("waiting", "ready")}
