"""The lines of waiting polls: who claims when, who is served first, and that no task is missed or kept."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from taskrpc.core.model import Queue
from taskrpc.engine.caller import Caller
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.errors import TaskRpcError
from taskrpc.store.claims import MOST_ANSWER_BYTES, Claims
from taskrpc.store.database import CommitUnknown


class Ready(Claims):
    """Stands for the database: ready tasks by the names of their queues. Claims answer while it is `open`."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.locked = False
        self.failures: list[Exception] = []
        self.sent: list[str] = []
        self.forgotten = False
        self.under_way: set[str] = set()
        self.given_back: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    def put(self, *ids: str, size: int = 0) -> None:
        """Makes tasks ready; the first letter of an id is its queue."""
        self.tasks += [{"id": task_id, "bytes": size} for task_id in ids]

    async def claim(self, queues: Iterable[Queue], most: int, start: bool, thorough: bool) -> tuple[list[Any], bool]:
        names = "".join(sorted(name for _, name in queues))
        assert not set(names) & self.under_way, "two claims of one queue are under way"
        self.sent.append(f"{names} {most}")
        self.under_way |= set(names)
        # As a statement does: what is committed later is not seen.
        fit = [] if self.locked else [task for task in self.tasks if task["id"][0] in names]
        more = self.locked or len(fit) >= most
        for task in fit[:most]:
            self.tasks.remove(task)
        await self.open.wait()
        self.under_way -= set(names)
        if self.failures:
            raise self.failures.pop(0)
        return fit[:most], more

    async def find_ready(self, queues: Sequence[Queue]) -> list[Queue]:
        return [queue for queue in queues if any(task["id"][0] == queue[1] for task in self.tasks)]

    def forget(self) -> None:
        self.forgotten = True

    async def give_back(self, rows: Sequence[Any]) -> None:
        self.given_back += [row["id"] for row in rows]


class Polls:
    """Callers of one dispatcher; definitions have names of one letter, `AB` asks for two."""

    def __init__(self, dispatcher: Dispatcher, ready: Ready) -> None:
        self.dispatcher = dispatcher
        self.ready = ready

    async def begin(self, names: str, most: int = 1, seconds: float = 30, caller: Caller | None = None) -> "Poll":
        """A poll that stands in its line when this returns."""
        queues = frozenset(("task", name) for name in names)
        answer = asyncio.ensure_future(self.dispatcher.poll(queues, most, seconds, False, caller or Caller()))
        await _settled()
        return Poll(answer)

    async def wake(self, names: str) -> None:
        """What a commit does that made tasks ready."""
        self.dispatcher.wake([("task", name) for name in names])
        await _settled()


class Poll:
    """One waiting caller."""

    def __init__(self, answer: "asyncio.Future[list[Any]]") -> None:
        self._answer = answer

    @property
    def waits(self) -> bool:
        return not self._answer.done()

    async def ids(self) -> list[str]:
        """The ids of the tasks that it got."""
        async with asyncio.timeout(5):
            return [row["id"] for row in await self._answer]

    async def leave(self) -> None:
        """Cancels the call, as a client's disconnection may."""
        self._answer.cancel()
        await asyncio.wait([self._answer])


async def _settled() -> None:
    """Everything that can happen without a claim's answer has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def ready() -> Ready:
    return Ready()


@pytest.fixture
async def polls(ready: Ready) -> AsyncIterator[Polls]:
    async with asyncio.TaskGroup() as group:
        dispatcher = Dispatcher(ready, group.create_task)
        yield Polls(dispatcher, ready)
        ready.open.set()
        dispatcher.drain()
        await _settled()
        assert not dispatcher.waiting


async def test_a_task_that_is_created_while_a_claim_is_under_way_is_not_missed(polls: Polls, ready: Ready) -> None:
    ready.open.clear()
    poll = await polls.begin("A")
    ready.put("A1")
    await polls.wake("A")
    ready.open.set()
    assert await poll.ids() == ["A1"]
    assert ready.sent == ["A 1", "A 1"]


async def test_a_caller_that_comes_while_a_claim_is_under_way_is_served_by_the_next(polls: Polls, ready: Ready) -> None:
    ready.put("A1", "A2")
    ready.open.clear()
    first = await polls.begin("A")
    second = await polls.begin("A")
    ready.open.set()
    assert (await first.ids(), await second.ids()) == (["A1"], ["A2"])
    assert ready.sent == ["A 1", "A 1"]


async def test_callers_of_an_empty_queue_cost_no_claims(polls: Polls, ready: Ready) -> None:
    waiting = [await polls.begin("A") for _ in range(10)]
    assert ready.sent == ["A 1"]
    ready.put("A1", "A2")
    await polls.wake("A")
    assert ready.sent == ["A 1", "A 10"]
    assert [await poll.ids() for poll in waiting[:2]] == [["A1"], ["A2"]]
    assert all(poll.waits for poll in waiting[2:])


async def test_one_claim_serves_many_in_the_order_in_which_they_came(polls: Polls, ready: Ready) -> None:
    waiting = [await polls.begin("A", most) for most in (1, 3, 2, 5)]
    ready.put(*(f"A{n}" for n in range(8)))
    await polls.wake("A")
    assert [len(await poll.ids()) for poll in waiting] == [1, 3, 2, 2]
    assert ready.sent == ["A 1", "A 11"]


async def test_whoever_came_first_is_served_first_whatever_else_the_others_ask_for(polls: Polls, ready: Ready) -> None:
    order = ["A", "AB", "A", "B", "AB", "A"]
    waiting = [await polls.begin(names) for names in order]
    ready.put("A1", "A2", "A3")
    await polls.wake("A")
    served = [poll for poll, names in zip(waiting, order, strict=True) if "A" in names][:3]
    assert sorted([(await poll.ids())[0] for poll in served]) == ["A1", "A2", "A3"]
    assert sum(poll.waits for poll in waiting) == 3


async def test_callers_who_ask_for_more_neither_starve_others_nor_starve(polls: Polls, ready: Ready) -> None:
    both = [await polls.begin("AB", 10) for _ in range(5)]
    only = await polls.begin("A", 10)
    ready.put(*(f"A{n}" for n in range(60)), *(f"B{n}" for n in range(60)))
    await polls.wake("AB")
    assert [len(await poll.ids()) for poll in both] == [10] * 5
    assert len(await only.ids()) == 10


async def test_nobody_claims_for_callers_who_came_after_another_line(polls: Polls, ready: Ready) -> None:
    for names in ("A", "A", "AB", "A"):
        await polls.begin(names)
    ready.sent.clear()
    ready.put("A1", "A2", "A3", "A4")
    await polls.wake("A")
    assert ready.sent == ["A 2", "AB 1", "A 1"]


async def test_lines_that_have_nothing_in_common_claim_side_by_side(polls: Polls, ready: Ready) -> None:
    ready.open.clear()
    first, second = await polls.begin("A"), await polls.begin("B")
    assert ready.sent == ["A 1", "B 1"]
    third = await polls.begin("AB")
    assert ready.sent == ["A 1", "B 1"]
    ready.put("A1", "B1", "A2")
    await polls.wake("AB")
    ready.open.set()
    ids = [await poll.ids() for poll in (first, second, third)]
    assert ids == [["A1"], ["B1"], ["A2"]]


async def test_a_poll_without_time_is_answered_by_a_claim_that_was_sent_after_it(polls: Polls, ready: Ready) -> None:
    ready.open.clear()
    waiting = await polls.begin("A")
    ready.put("A1", "A2")  # committed after the claim was sent, and nobody told
    at_once = await polls.begin("A", seconds=0)
    ready.open.set()
    assert await waiting.ids() == ["A1"]
    assert await at_once.ids() == ["A2"]


async def test_a_poll_without_time_looks_even_where_nothing_is_known_to_be(polls: Polls, ready: Ready) -> None:
    await polls.begin("A")
    at_once = await polls.begin("A", seconds=0)
    assert await at_once.ids() == []
    assert len(ready.sent) == 2


async def test_a_poll_for_nothing_gets_nothing(polls: Polls, ready: Ready) -> None:
    assert await (await polls.begin("")).ids() == []
    assert ready.sent == []


async def test_a_poll_whose_time_is_over_gets_nothing_and_leaves_its_line(polls: Polls, ready: Ready) -> None:
    assert await (await polls.begin("A", seconds=0.01)).ids() == []
    assert polls.dispatcher.waiting == 0
    ready.put("A1")
    await polls.wake("A")
    assert ready.sent == ["A 1"]


async def test_locked_tasks_are_claimed_again_soon(polls: Polls, ready: Ready) -> None:
    ready.locked = True
    poll = await polls.begin("A")
    ready.put("A1")
    ready.locked = False  # nobody tells that the lock is gone
    assert await poll.ids() == ["A1"]


async def test_what_no_hint_told_is_found_by_looking(polls: Polls, ready: Ready) -> None:
    poll, other = await polls.begin("A"), await polls.begin("B")
    ready.put("A1")
    await polls.dispatcher.look()
    assert await poll.ids() == ["A1"]
    assert other.waits
    assert ready.sent == ["A 1", "B 1", "A 1"]


async def test_tasks_of_a_caller_that_left_during_the_claim_go_to_the_next(polls: Polls, ready: Ready) -> None:
    ready.put("A1")
    ready.open.clear()
    gone, stays = await polls.begin("A"), await polls.begin("A")
    await gone.leave()
    ready.open.set()
    assert await stays.ids() == ["A1"]
    assert ready.given_back == []


async def test_tasks_that_nobody_waits_for_any_more_go_back(polls: Polls, ready: Ready) -> None:
    ready.put("A1", "A2")
    ready.open.clear()
    gone = await polls.begin("A", 2)
    await gone.leave()
    ready.open.set()
    await _settled()
    assert ready.given_back == ["A1", "A2"]


async def test_a_caller_that_hung_up_leaves_its_line(polls: Polls, ready: Ready) -> None:
    caller = Caller()
    gone = await polls.begin("A", caller=caller)
    caller.leave()
    assert await gone.ids() == []
    assert (caller.is_gone, polls.dispatcher.waiting) == (True, 0)


async def test_tasks_whose_answer_could_not_be_delivered_go_back(polls: Polls, ready: Ready) -> None:
    ready.put("A1")
    caller = Caller()
    assert await (await polls.begin("A", caller=caller)).ids() == ["A1"]
    await caller.take_back()
    assert ready.given_back == ["A1"]


async def test_an_answer_is_not_larger_than_its_bound_and_the_rest_goes_to_the_next(polls: Polls, ready: Ready) -> None:
    first, second = await polls.begin("A", 3), await polls.begin("A", 3)
    ready.put("A1", "A2", size=MOST_ANSWER_BYTES // 2)
    ready.put("A3", size=MOST_ANSWER_BYTES * 2)
    await polls.wake("A")
    assert (await first.ids(), await second.ids()) == (["A1", "A2"], ["A3"])


async def test_without_the_database_those_without_time_are_refused_and_the_others_wait(
    polls: Polls, ready: Ready
) -> None:
    ready.failures = [TaskRpcError("unavailable", "the database is away")]
    waiting = await polls.begin("A")
    ready.failures = [TaskRpcError("unavailable", "the database is away")]
    at_once = await polls.begin("A", seconds=0)
    with pytest.raises(TaskRpcError, match="unavailable"):
        await at_once.ids()
    ready.put("A1")
    polls.dispatcher.wake(None)  # the database is back
    assert await waiting.ids() == ["A1"]
    assert ready.forgotten


@pytest.mark.parametrize("failure", [CommitUnknown(None), ValueError("a defect")], ids=["lost", "defect"])
async def test_a_claim_that_failed_is_sent_again(polls: Polls, ready: Ready, failure: Exception) -> None:
    ready.failures = [failure]
    poll = await polls.begin("A")
    ready.put("A1")
    assert await poll.ids() == ["A1"]


async def test_who_waits_when_the_server_stops_is_answered_at_once(polls: Polls, ready: Ready) -> None:
    waiting = [await polls.begin(names) for names in ("A", "A", "AB")]
    polls.dispatcher.drain()
    assert [await poll.ids() for poll in waiting] == [[], [], []]
    assert polls.dispatcher.is_draining
    ready.put("A1")
    assert await (await polls.begin("A")).ids() == ["A1"]  # what is there is still handed out
    assert await (await polls.begin("A")).ids() == []
