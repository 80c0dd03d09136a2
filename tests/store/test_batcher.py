"""The batcher without a database: what shares a statement, what waits, and who pays for a bad element."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg
import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.store import batcher, recovery
from taskrpc.store.batcher import AGAIN, Again, Batcher
from taskrpc.store.database import CommitUnknown, Database


@dataclass(frozen=True)
class Call:
    """An element about the row `key`."""

    key: str
    size: int = 0
    name: str = ""


class Statement:
    """Stands for the database: keeps each flush, answers when it is `open`, fails for what is `poisoned`."""

    def __init__(self) -> None:
        self.flushes: list[list[Call]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.poisoned: set[str] = set()
        self.locked: set[str] = set()
        self.failures: list[Exception] = []

    async def run(self, calls: Sequence[Call]) -> list[str | TaskRpcError | Again]:
        self.flushes.append(list(calls))
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if any(call.key in self.poisoned for call in calls):
            raise ValueError("a poisoned element")
        return [AGAIN if call.key in self.locked else f"done {call.key} {call.name}".strip() for call in calls]

    async def reached(self, flushes: int) -> None:
        """Waits until so many flushes were sent."""
        async with asyncio.timeout(5):
            while len(self.flushes) < flushes:  # noqa: ASYNC110 (the batcher has no event of it)
                await asyncio.sleep(0)


@pytest.fixture
def statement() -> Statement:
    return Statement()


@pytest.fixture
async def calls(statement: Statement) -> AsyncIterator[Batcher[Call, str]]:
    async with asyncio.TaskGroup() as group:
        yield Batcher("test", Database("postgresql://nobody@nowhere/none"), group.create_task, statement.run)


async def _submit(calls: Batcher[Call, str], *elements: Call) -> list[object]:
    return await asyncio.gather(*(calls.submit(element) for element in elements), return_exceptions=True)


async def test_calls_of_one_turn_of_the_loop_share_a_statement(calls: Batcher[Call, str], statement: Statement) -> None:
    answers = await _submit(calls, *(Call(f"k{n}") for n in range(100)))
    assert answers == [f"done k{n}" for n in range(100)]
    assert [len(flush) for flush in statement.flushes] == [100]


async def test_calls_that_come_while_a_statement_is_under_way_are_the_next_one(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    statement.open.clear()
    first = calls.submit(Call("first"))
    await statement.reached(1)
    others = [calls.submit(Call(f"k{n}")) for n in range(10)]
    await asyncio.sleep(0)
    assert len(statement.flushes) == 1
    statement.open.set()
    await asyncio.gather(first, *others)
    assert [len(flush) for flush in statement.flushes] == [1, 10]


async def test_a_flush_has_one_element_per_row_and_the_others_follow_in_their_order(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    elements = [Call("a", name="1"), Call("b", name="1"), Call("a", name="2"), Call("a", name="3"), Call("b", name="2")]
    assert await _submit(calls, *elements) == ["done a 1", "done b 1", "done a 2", "done a 3", "done b 2"]
    flushes = [[(call.key, call.name) for call in flush] for flush in statement.flushes]
    assert flushes == [[("a", "1"), ("b", "1")], [("a", "2"), ("b", "2")], [("a", "3")]]


async def test_a_flush_is_bounded_by_its_count(calls: Batcher[Call, str], statement: Statement) -> None:
    await _submit(calls, *(Call(f"k{n}") for n in range(batcher.MOST_ELEMENTS * 2 + 1)))
    assert [len(flush) for flush in statement.flushes] == [batcher.MOST_ELEMENTS, batcher.MOST_ELEMENTS, 1]


async def test_a_flush_is_bounded_by_its_bytes_but_one_element_always_goes(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    half, whole = batcher.MOST_BYTES // 2, batcher.MOST_BYTES
    sizes = [half, half, 1, whole * 2, 1, half]
    await _submit(calls, *(Call(f"k{n}", size) for n, size in enumerate(sizes)))
    assert [[call.size for call in flush] for flush in statement.flushes] == [[half, half], [1], [whole * 2], [1, half]]


@pytest.mark.parametrize(
    ("bound", "most", "size"), [("MOST_WAITING", 10, 1), ("MOST_WAITING_BYTES", 1000, 100)], ids=["count", "bytes"]
)
async def test_a_full_queue_refuses_further_calls_until_it_was_flushed(
    calls: Batcher[Call, str], statement: Statement, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, size: int
) -> None:
    monkeypatch.setattr(batcher, bound, most)
    statement.open.clear()
    first = calls.submit(Call("first", 5000))
    await statement.reached(1)
    waiting = [calls.submit(Call(f"k{n}", size)) for n in range(10)]
    await asyncio.sleep(0)
    too_many = calls.submit(Call("too many", 100))
    with pytest.raises(TaskRpcError) as caught:
        await too_many
    assert (caught.value.type, caught.value.data) == ("unavailable", {"retryAfter": 1})
    statement.open.set()
    await asyncio.gather(first, *waiting)
    assert await calls.submit(Call("later", 100)) == "done later"


async def test_a_call_whose_caller_left_is_not_sent(calls: Batcher[Call, str], statement: Statement) -> None:
    statement.open.clear()
    first = calls.submit(Call("first"))
    await statement.reached(1)
    gone, stays = (
        calls.submit(Call("gone", 7)),
        calls.submit(Call("stays")),
    )
    await asyncio.sleep(0)
    gone.cancel()
    statement.open.set()
    assert (await first, await stays) == ("done first", "done stays")
    assert [call.key for flush in statement.flushes for call in flush] == ["first", "stays"]


async def test_a_caller_that_leaves_during_the_statement_costs_its_neighbours_nothing(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    statement.open.clear()
    gone, stays = (calls.submit(Call(key)) for key in ("gone", "stays"))
    await statement.reached(1)
    gone.cancel()
    statement.open.set()
    assert await stays == "done stays"


@pytest.mark.parametrize("poisoned", [{"k0"}, {"k255"}, {"k100", "k101"}])
async def test_only_poisoned_elements_fail_and_few_statements_find_them(
    calls: Batcher[Call, str], statement: Statement, caplog: pytest.LogCaptureFixture, poisoned: set[str]
) -> None:
    statement.poisoned = poisoned
    with caplog.at_level(logging.ERROR):
        answers = await _submit(calls, *(Call(f"k{n}") for n in range(256)))
    failed = {f"k{n}" for n, answer in enumerate(answers) if isinstance(answer, ValueError)}
    assert failed == poisoned
    assert sum(isinstance(answer, str) for answer in answers) == 256 - len(poisoned)
    assert len(statement.flushes) <= 1 + len(poisoned) * 2 * 8
    assert len(caplog.records) == len(poisoned)


async def test_a_locked_element_goes_again_and_keeps_nobody_waiting(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    statement.locked = {"locked"}
    waiting = calls.submit(Call("locked"))
    assert await calls.submit(Call("free")) == "done free"
    await statement.reached(4)
    assert not waiting.done()
    statement.locked.clear()
    assert await waiting == "done locked"


async def test_an_element_that_stays_locked_is_refused_in_the_end(
    calls: Batcher[Call, str], statement: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "LOCK_PATIENCE_SECONDS", 0.05)
    statement.locked = {"locked"}
    with pytest.raises(TaskRpcError, match="unavailable: Task locked is locked by another transaction"):
        await calls.submit(Call("locked"))


async def test_what_another_transaction_rolled_back_goes_again(calls: Batcher[Call, str], statement: Statement) -> None:
    statement.failures = [asyncpg.DeadlockDetectedError(), asyncpg.SerializationError()]
    assert await _submit(calls, Call("a"), Call("b")) == ["done a", "done b"]
    assert [len(flush) for flush in statement.flushes] == [2, 2, 2]


async def test_a_refusal_of_the_whole_flush_is_everybodys_answer(
    calls: Batcher[Call, str], statement: Statement
) -> None:
    statement.failures = [TaskRpcError("unavailable", "the database is away")]
    answers = await _submit(calls, Call("a"), Call("b"))
    assert [getattr(answer, "type", None) for answer in answers] == ["unavailable", "unavailable"]
    assert await calls.submit(Call("a")) == "done a"


async def test_what_became_of_a_call_is_unknown_when_the_database_does_not_come_back(
    calls: Batcher[Call, str], statement: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.05)
    statement.failures = [CommitUnknown(None)]
    with pytest.raises(TaskRpcError) as caught:
        await calls.submit(Call("a"))
    assert (caught.value.type, caught.value.data) == ("outcome-unknown", {"retryAfter": 1})


async def test_a_cancelled_flush_leaves_no_caller_waiting(statement: Statement) -> None:
    statement.open.clear()
    flushes: list[asyncio.Task[None]] = []
    calls: Batcher[Call, str] = Batcher(
        "test",
        Database("postgresql://nobody@nowhere/none"),
        lambda work: flushes.append(asyncio.ensure_future(work)),
        statement.run,
    )
    waiting = calls.submit(Call("a"))
    await statement.reached(1)
    flushes[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    statement.open.set()
    assert await calls.submit(Call("b")) == "done b"
