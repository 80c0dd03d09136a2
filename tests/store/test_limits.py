"""Limits: what is held, who passes a slot on, and to whom; one step at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import pytest

from taskrpc.core.definition import Definition, parse_definition
from taskrpc.engine import dispatcher
from taskrpc.errors import TaskRpcError
from taskrpc.store.reaping import Reaping
from taskrpc.store.statements import SQL
from tests.databases import Clock
from tests.engine.headless import Headless
from tests.system.waiting import until

End = Callable[[Headless, Any, Clock], Awaitable[object]]
LIMITED: Final = "test/limited"


@pytest.fixture
def only_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting polls do not look for themselves: whatever they get, somebody has told them of."""
    monkeypatch.setattr(dispatcher, "SLOW_POLL_SECONDS", 3600.0)


async def _reap(server: Headless) -> None:
    await Reaping(server.parts.database, server.parts.signals).reap()


def _of_task(method: str) -> End:
    async def end(server: Headless, task: Any, clock: Clock) -> None:
        await server.call(f"awf.task/{method}", id=task["id"])

    return end


def _of_execution(method: str) -> End:
    async def end(server: Headless, task: Any, clock: Clock) -> None:
        await server.of("start", task)
        await server.of(method, task)

    return end


async def _requested_timeout(server: Headless, task: Any, clock: Clock) -> None:
    await clock.advance(11)
    await _reap(server)


async def _in_progress_timeout(server: Headless, task: Any, clock: Clock) -> None:
    await server.of("start", task)
    await clock.advance(151)
    await _reap(server)


async def _drop(server: Headless, task: Any, clock: Clock) -> None:
    await clock.advance(270)
    await _reap(server)


async def _definition(server: Headless, name: str = LIMITED, **fields: Any) -> None:
    await server.call("awf.definition/put", id=name, **fields)


async def _faults(observer: asyncpg.Connection) -> list[Any]:
    return await observer.fetch(SQL["gate_faults"])


@pytest.mark.usefixtures("only_signals")
@pytest.mark.parametrize(
    "end",
    [
        _of_execution("success"), _of_execution("fail"), _of_task("cancel"), _of_task("stop"),
        _requested_timeout, _in_progress_timeout, _drop,
    ],
    ids=["success", "fail", "cancel", "stop", "requested-timeout", "in-progress-timeout", "drop"],
)  # fmt: skip
async def test_whoever_ends_passes_the_slot_on_at_once(
    server: Headless, observer: asyncpg.Connection, clock: Clock, end: End
) -> None:
    await _definition(server, concurrencyLimit=1, timeout=300_000, inProgressTimeout=150_000)
    first = await server.create(LIMITED)
    await clock.advance(30)
    second = await server.create(LIMITED)
    (task,) = await server.poll(LIMITED, maxBatchSize=10)
    assert task["id"] == first["id"]
    waiting = asyncio.ensure_future(server.call("awf.task/long-poll", taskDefinitions=[LIMITED]))
    await end(server, task, clock)
    async with asyncio.timeout(5):
        (following,) = (await waiting)["resources"]
    assert following["id"] == second["id"]
    assert not await _faults(observer)


@pytest.mark.parametrize("end", [_of_task("cancel"), _drop], ids=["cancel", "drop"])
async def test_a_task_that_ends_before_it_was_handed_out_passes_its_slot_on(
    still: Headless, observer: asyncpg.Connection, clock: Clock, end: End
) -> None:
    await _definition(still, concurrencyLimit=1, timeout=300_000)
    first = await still.create(LIMITED)
    await clock.advance(30)
    second = await still.create(LIMITED)
    await end(still, first, clock)
    assert (await still.status(first))["status"] == "done"
    assert [task["id"] for task in await still.poll(LIMITED, maxBatchSize=10)] == [second["id"]]
    assert not await _faults(observer)


async def test_a_held_task_that_is_canceled_takes_no_slot_with_it(
    still: Headless, observer: asyncpg.Connection
) -> None:
    await _definition(still, concurrencyLimit=1)
    first, second, third = [await still.create(LIMITED) for _ in range(3)]
    await still.call("awf.task/cancel", id=second["id"])
    (task,) = await still.poll(LIMITED, maxBatchSize=10)
    assert task["id"] == first["id"]
    await still.call("awf.task/cancel", id=first["id"])
    assert [task["id"] for task in await still.poll(LIMITED, maxBatchSize=10)] == [third["id"]]
    assert not await _faults(observer)


async def test_a_released_task_keeps_its_place_before_those_that_are_held(still: Headless) -> None:
    await _definition(still, concurrencyLimit=1)
    first, _ = [await still.create(LIMITED) for _ in range(2)]
    (task,) = await still.poll(LIMITED, start=True)
    await still.of("release", task)
    assert [task["id"] for task in await still.poll(LIMITED, maxBatchSize=10)] == [first["id"]]


async def test_a_task_that_was_not_started_in_time_stands_behind_those_that_are_held(
    still: Headless, clock: Clock
) -> None:
    await _definition(still, concurrencyLimit=1)
    first, second = [await still.create(LIMITED) for _ in range(2)]
    (task,) = await still.poll(LIMITED)
    assert task["id"] == first["id"]
    await _requested_timeout(still, task, clock)
    assert [task["id"] for task in await still.poll(LIMITED, maxBatchSize=10)] == [second["id"]]


async def test_waiting_tasks_take_no_slot_until_they_are_due(
    still: Headless, observer: asyncpg.Connection, clock: Clock
) -> None:
    await _definition(still, concurrencyLimit=1, retryDelay=5_000)
    await still.create(LIMITED)
    (task,) = await still.poll(LIMITED, start=True)
    await still.of("fail", task)
    second = await still.create(LIMITED)
    await clock.advance(5)
    await _reap(still)
    (other,) = await still.poll(LIMITED, maxBatchSize=10, start=True)
    assert other["id"] == second["id"]
    await still.of("success", other)
    assert [task["id"] for task in await still.poll(LIMITED, maxBatchSize=10)] == [task["id"]]
    assert not await _faults(observer)


async def test_a_queue_limit_counts_what_is_not_done(still: Headless, observer: asyncpg.Connection) -> None:
    await _definition(still, queueLimit=2)
    first = await still.create(LIMITED, id="first")
    await still.create(LIMITED, executeAt="2100-01-01T00:00:00Z")
    with pytest.raises(TaskRpcError) as caught:
        await still.create(LIMITED)
    assert (caught.value.type, caught.value.data) == (
        "queue-limit-reached",
        {"definition": LIMITED, "queueLimit": 2, "retryAfter": 1},
    )
    with pytest.raises(TaskRpcError, match="task-already-exists"):  # said before any limit
        await still.create(LIMITED, id="first")
    await still.call("awf.task/cancel", id=first["id"])
    await still.create(LIMITED)
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await still.call("awf.task/retry", id=first["id"])
    assert (await still.status(first))["status"] == "done"
    assert not await _faults(observer)


async def test_a_queue_limit_is_exact_with_fifty_creators_on_two_servers(
    server: Headless, other: Headless, observer: asyncpg.Connection
) -> None:
    await _definition(server, queueLimit=20)
    await other.parts.definitions.reload()
    creations = [creator.create(LIMITED) for creator in [server, other] * 25]
    answers = await asyncio.gather(*creations, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TaskRpcError)]
    assert {error.type for error in refused} == {"queue-limit-reached"}
    assert len(refused) == 30
    assert await observer.fetchval("select count(*) from taskrpc.task") == 20
    assert not await _faults(observer)


@pytest.mark.parametrize("batch", [1, 30])
async def test_one_flush_fills_a_queue_to_its_limit_and_no_further(still: Headless, batch: int) -> None:
    await _definition(still, queueLimit=7)
    answers = [
        answer
        for _ in range(30 // batch)
        for answer in await asyncio.gather(*(still.create(LIMITED) for _ in range(batch)), return_exceptions=True)
    ]
    assert sum(isinstance(answer, dict) for answer in answers) == 7


VALUES: Final[list[Any]] = ["a", "A", 1, "1", True, None, {"b": 1, "a": [1]}, "x" * 500, "ü/😀", [], ""]


async def test_a_limit_holds_for_each_value_at_its_path(still: Headless, observer: asyncpg.Connection) -> None:
    await _definition(still, concurrencyLimit=1, concurrencyPath=["params", "key"])
    for value in VALUES * 2:
        await still.create(LIMITED, params={"key": value})
    await still.create(LIMITED, params={"key": {"a": [1], "b": 1}})  # the same value, written otherwise
    await still.create(LIMITED)  # nothing is there, as with null
    tasks = await still.poll(LIMITED, maxBatchSize=100)
    assert sorted(repr(task["params"]["key"]) for task in tasks) == sorted(map(repr, VALUES))
    assert not await _faults(observer)
    for task in tasks:
        await still.call("awf.task/cancel", id=task["id"])
    again = await still.poll(LIMITED, maxBatchSize=100)
    assert sorted(repr(task["params"]["key"]) for task in again) == sorted(map(repr, VALUES))


@pytest.mark.parametrize("name", ["a", "a/b", "1/a", "Ärzte 😀", "x" * 255])
async def test_the_database_names_gates_as_the_server_does(observer: asyncpg.Connection, name: str) -> None:
    spec = parse_definition({"concurrencyLimit": 1, "queueLimit": 1, "concurrencyPath": ["params", "key"]})
    definition = Definition(name, 1, spec)
    for value in VALUES:
        text = definition.gate_value({"params": {"key": value}})
        assert await observer.fetchval("select taskrpc.gate_key($1, $2)", name, text) == definition.gate(text)
    assert await observer.fetchval("select taskrpc.gate_key($1, null)", name) == definition.gate(None)
    assert await observer.fetchval("select taskrpc.queue_gate_key($1)", name) == definition.queue_gate


async def test_a_limit_of_zero_stops_everything(still: Headless) -> None:
    await _definition(still, concurrencyLimit=0)
    await still.create(LIMITED)
    assert await still.poll(LIMITED) == []
    await _definition(still, queueLimit=0)
    with pytest.raises(TaskRpcError, match="queue-limit-reached"):
        await still.create(LIMITED)
    assert len(await still.poll(LIMITED)) == 1


async def _stranded(server: Headless, observer: asyncpg.Connection) -> str:
    """The id of a task that is held although its gate has room: its row was locked when the slot was passed on."""
    await _definition(server, concurrencyLimit=1)
    first, second = [await server.create(LIMITED) for _ in range(2)]
    undone = observer.transaction()
    await undone.start()
    await observer.execute("select from taskrpc.task where id = $1 for update", second["id"])
    await server.call("awf.task/cancel", id=first["id"])
    await undone.rollback()
    assert await server.poll(LIMITED) == []
    return str(second["id"])


async def test_a_task_that_nobody_admitted_because_its_row_was_locked_is_found(
    still: Headless, observer: asyncpg.Connection
) -> None:
    stranded = await _stranded(still, observer)
    await Reaping(still.parts.database, still.parts.signals).admit_stranded()
    assert [task["id"] for task in await still.poll(LIMITED)] == [stranded]
    assert not await _faults(observer)


async def test_who_admits_stranded_tasks_holds_the_definitions_before_any_gate(
    still: Headless, observer: asyncpg.Connection
) -> None:
    """In the order of `put`, which locks the tasks and then removes gates: else both wait for each other."""
    stranded = await _stranded(still, observer)
    async with observer.transaction():
        await observer.execute(SQL["lock_tasks"])
        admitting = asyncio.ensure_future(Reaping(still.parts.database, still.parts.signals).admit_stranded())
        await until(lambda: observer.fetchval("select count(*) from pg_locks where not granted"))
        await observer.execute("select from taskrpc.gate for update nowait")
    await admitting
    assert [task["id"] for task in await still.poll(LIMITED)] == [stranded]
