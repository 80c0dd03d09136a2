"""Limits while creators, executors and deadlines on two servers do their worst: never exceeded, and no slot is lost."""

import asyncio
import random
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store.statements import SQL
from tests.engine.headless import Headless
from tests.system.waiting import until

NAME: Final = "test/limited"
KEYS: Final = 3
LIMIT: Final = 2
QUEUE_LIMIT: Final = 40
FIELDS: Final = {
    "concurrencyPath": ["params", "key"],
    "concurrencyLimit": LIMIT,
    "queueLimit": QUEUE_LIMIT,
    "requestedToStartTimeout": 60,
    "inProgressTimeout": 120,
    "allowedRetryCount": 3,
    "retryDelay": 20,
}

# Every statement that hands tasks out or opens them looks, with its own changes, at what others have committed.
WATCH: Final = """
create table taskrpc.violation (what text not null);
create function taskrpc.watch_claims() returns trigger language plpgsql as $$ begin
    insert into taskrpc.violation
    select format('%s runs %s of %s', g.key, c.running, g.lim) from taskrpc.gate g cross join lateral (
        select count(*) as running from taskrpc.task t
        where t.gate = g.key and t.status in ('requested', 'in-progress')
    ) c
    where c.running > g.lim and g.key in (
        select n.gate from new n join old o on o.id = n.id
        where o.status = 'ready' and n.status in ('requested', 'in-progress')
    );
    return null;
end $$;
create trigger watch_claims after update on taskrpc.task referencing old table as old new table as new
for each statement execute function taskrpc.watch_claims();
create function taskrpc.watch_queue() returns trigger language plpgsql as $$ begin
    insert into taskrpc.violation
    select format('%s counts %s of %s', g.key, count(*), g.lim)
    from taskrpc.gate g join taskrpc.task t on t.queue_gate = g.key
    where t.status <> 'done' and exists (select from new n join old o on o.id = n.id where o.status = 'done')
    group by g.key, g.lim having count(*) > g.lim;
    return null;
end $$;
create trigger watch_queue after update on taskrpc.task referencing old table as old new table as new
for each statement execute function taskrpc.watch_queue();
create function taskrpc.watch_gates() returns trigger language plpgsql as $$ begin
    insert into taskrpc.violation select format('%s: %s of %s', new.key, new.used, new.lim) where new.used > new.lim;
    return null;
end $$;
create constraint trigger watch_gates after insert or update on taskrpc.gate deferrable initially deferred
for each row execute function taskrpc.watch_gates();
"""


class Load:
    """Clients of two servers that create `count` tasks and end them all, one way or another."""

    def __init__(self, servers: list[Headless], count: int) -> None:
        self._servers = servers
        self._left = count
        self._chance = random.Random(7)
        self.unexpected: list[TaskRpcError] = []
        self.under_way = 0

    def _server(self) -> Headless:
        return self._chance.choice(self._servers)

    async def create(self) -> None:
        """Creates tasks until there are enough; a full queue is waited for."""
        while self._left > 0:
            self._left -= 1
            try:
                await self._server().create(NAME, params={"key": self._chance.randrange(KEYS)})
            except TaskRpcError as error:
                self._left += 1
                if error.type != "queue-limit-reached":
                    self.unexpected.append(error)
                await asyncio.sleep(0.005)

    async def execute(self) -> None:
        """Polls and does something with each task, until it is cancelled."""
        while True:
            server, start = self._server(), self._chance.random() < 0.5
            poll = {"taskDefinitions": [NAME], "maxBatchSize": self._chance.randint(1, 4), "start": start}
            tasks = (await server.call("awf.task/long-poll", **poll))["resources"]
            self.under_way += 1
            await asyncio.gather(*(self._treat(task) for task in tasks))
            self.under_way -= 1

    async def _treat(self, task: Any) -> None:
        choices = ["success"] * 4 + ["fail", "release", "cancel", "nothing", "stop", "cancel and retry"]
        choice = self._chance.choice(choices)
        try:
            if task["status"] == "requested" and choice in ("success", "fail", "stop"):
                await self._server().of("start", task)
            if choice in ("success", "fail", "release"):
                await self._server().of(choice, task)
            elif choice != "nothing":
                await self._server().call(f"awf.task/{choice.split()[0]}", id=task["id"])
            if choice == "cancel and retry":
                await self._server().call("awf.task/retry", id=task["id"])
        except TaskRpcError as error:  # its time was over, or the queue is full
            if error.type not in ("stale-exec-id", "wrong-status", "task-has-been-done", "queue-limit-reached"):
                self.unexpected.append(error)


async def _carry_out(load: Load, observer: asyncpg.Connection) -> None:
    executors = [asyncio.ensure_future(load.execute()) for _ in range(8)]

    async def ended() -> bool:
        """One that was canceled is done, and may be about to be retried."""
        all_done = "select not exists (select from taskrpc.task where status <> 'done')"
        return await observer.fetchval(all_done) and not load.under_way

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(load.create() for _ in range(8)))
            await until(ended)
    finally:
        for executor in executors:
            executor.cancel()
        await asyncio.gather(*executors, return_exceptions=True)


async def test_limits_are_never_exceeded_and_no_task_is_left_behind(
    server: Headless, other: Headless, observer: asyncpg.Connection
) -> None:
    await observer.execute(WATCH)
    await server.call("awf.definition/put", id=NAME, **FIELDS)
    load = Load([server, other], 200)
    await _carry_out(load, observer)
    assert not load.unexpected
    assert await observer.fetch("select distinct what from taskrpc.violation") == []
    assert await observer.fetch(SQL["gate_faults"]) == []
    assert {row["used"] for row in await observer.fetch("select used from taskrpc.gate")} == {0}


async def test_limits_that_change_all_the_time_lose_no_slot(
    server: Headless, other: Headless, observer: asyncpg.Connection
) -> None:
    await observer.execute(WATCH + "drop trigger watch_gates on taskrpc.gate;")

    async def change() -> None:
        while True:
            for limits in ({"concurrencyLimit": 4}, {}, {"concurrencyLimit": 1}, {"queueLimit": 60}):
                changed = {name: value for name, value in FIELDS.items() if not name.endswith("Limit")}
                await server.call("awf.definition/put", id=NAME, **changed, **limits)
                await asyncio.sleep(0.01)

    changing = asyncio.ensure_future(change())
    load = Load([server, other], 200)
    try:
        await _carry_out(load, observer)
    finally:
        changing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await changing
    assert not load.unexpected
    assert await observer.fetch("select distinct what from taskrpc.violation where what like '% runs %'") == []
    assert await observer.fetch(SQL["gate_faults"]) == []
