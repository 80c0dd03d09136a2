"""Commits that wait for a standby: one that gives up waiting is answered by PostgreSQL like any other, and may be gone
when the primary is lost. So nobody is told that it was done before a later commit was waited for."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.store import recovery
from taskrpc.store.log_partitions import DAYS_AHEAD
from tests.databases import connected, temporary_directory
from tests.services import Rpc, running_service
from tests.system.postgres import Postgres
from tests.system.waiting import until

CREATE: Final = "awf.task/create-and-execute"
TASK: Final = {"id": "t", "definition": "test/task"}
# What stands near the begin of each: PostgreSQL shows 1 kB of a statement.
_STATEMENTS: Final = {
    "create": "%insert into taskrpc.task%",
    "success": "%call_id, result, checked, n)%",
    "confirm": "%emit_message%",
}
_PARTITIONS: Final = "select count(*) from pg_class where relname like 'log!_2%' escape '!' and relkind = 'r'"
_WAITING: Final = "select pid from pg_stat_activity where wait_event = 'SyncRep' and query ilike $1"


class Primary:
    """A PostgreSQL whose standby is `missing` or not needed."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self.url = url
        self._connection = connection

    async def miss(self, standby: str = "nobody") -> None:
        """From now on commits wait for a standby; without a name they do not."""
        await self._connection.execute(f"alter system set synchronous_standby_names = '{standby}'")
        await self._connection.execute("select pg_reload_conf()")

        async def known() -> bool:  # the session reads the file anew before its next statement
            names: str = await self._connection.fetchval("show synchronous_standby_names")
            return names == standby

        await until(known)

    async def waiting(self, statement: str, count: int = 1) -> list[int]:
        """The backends whose commit of this statement waits for the standby, once there are so many."""

        async def found() -> list[int]:
            rows = await self._connection.fetch(_WAITING, _STATEMENTS[statement])
            return [row["pid"] for row in rows] if len(rows) >= count else []

        return await until(found)

    async def settled(self) -> None:
        """A server makes partitions of its log when it starts; what waits for a standby then holds up everything."""

        async def made() -> bool:
            return bool(await self._connection.fetchval(_PARTITIONS) > DAYS_AHEAD)

        await until(made)

    async def give_up(self, how: str, statement: str) -> None:
        """Has a commit wait no longer: `cancel` lets its connection live, `terminate` does not."""
        (backend,) = await self.waiting(statement)
        await self._connection.execute(f"select pg_{how}_backend($1)", backend)

    async def has_given_up(self, calling: asyncio.Future[Any]) -> bool:
        """Whether a call is answered; if not, what it waits for just now is canceled."""
        for row in await self._connection.fetch(_WAITING, _STATEMENTS["confirm"]):
            await self._connection.execute("select pg_cancel_backend($1)", row["pid"])
        return calling.done()


@pytest.fixture
async def primary() -> AsyncIterator[Primary]:
    directory = temporary_directory()
    postgres = Postgres(directory / "data")
    await postgres.start()
    try:
        async with connected(postgres.url) as connection:
            await connection.execute("set synchronous_commit = local")
            yield Primary(postgres.url, connection)
    finally:
        await postgres.stop()
        shutil.rmtree(directory)


@contextlib.asynccontextmanager
async def server(primary: Primary) -> AsyncIterator[Rpc]:
    async with running_service(primary.url) as service, Rpc(service.url) as rpc:
        await primary.settled()
        yield rpc


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_create_that_no_standby_has_is_answered_when_one_has_it(primary: Primary, how: str) -> None:
    async with server(primary) as rpc:
        await primary.miss()
        creating = asyncio.ensure_future(rpc.call(CREATE, **TASK))
        await primary.give_up(how, "create")
        await primary.waiting("confirm")  # it was found, and is not told yet
        assert not creating.done()
        await primary.miss("")
        reply = await creating
    assert (reply.status, reply.result["resource"]["meta"]["versionId"]) == (200, "1")


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_success_that_no_standby_has_takes_effect_once(primary: Primary, how: str) -> None:
    async with server(primary) as rpc:
        task = await rpc.started()
        await primary.miss()
        ending = asyncio.ensure_future(rpc.call("awf.task/success", id=task["id"], execId=task["execId"]))
        await primary.give_up(how, "success")
        await primary.waiting("confirm")
        assert not ending.done()
        await primary.miss("")
        resource = (await ending).result["resource"]
        assert (resource["outcome"], await _logged(rpc, task)) == ("succeeded", 1)


async def _logged(rpc: Rpc, task: Any) -> int:
    status = await rpc.call("awf.task/status", id=task["id"], **{"include-log?": True})
    return sum(entry["action"] == "awf.task/success" for entry in status.result["log"])


async def test_nobody_knows_what_becomes_of_it_as_long_as_no_standby_comes(
    primary: Primary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.5)  # for so long it asks again and again
    async with server(primary) as rpc:
        await primary.miss()
        creating = asyncio.ensure_future(rpc.call(CREATE, **TASK))
        await primary.give_up("cancel", "create")
        await primary.waiting("confirm")
        await until(lambda: primary.has_given_up(creating))
        reply = await creating
        assert (reply.status, reply.error["type"]) == (504, "outcome-unknown")
        await primary.miss("")


async def test_who_repeats_a_call_elsewhere_is_not_told_either_before_a_standby_has_it(primary: Primary) -> None:
    async with server(primary) as rpc, server(primary) as other:
        await primary.miss()
        creating = asyncio.ensure_future(rpc.call(CREATE, **TASK))
        await primary.give_up("cancel", "create")
        await primary.waiting("confirm")
        repeating = asyncio.ensure_future(other.call(CREATE, **TASK))
        await primary.waiting("confirm", 2)
        assert not repeating.done()
        await primary.miss("")
        assert ((await creating).status, (await repeating).error["type"]) == (200, "task-already-exists")
