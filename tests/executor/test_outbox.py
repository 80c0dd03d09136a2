"""The order and the coalescing of what a task reports, and the slots that polls ask for."""

import asyncio
import math

from taskrpc.core.json_text import JsonText
from taskrpc.executor.outbox import Feedback, Heartbeat, Outbox, Progress
from taskrpc.executor.slots import Slots


async def test_notices_keep_their_order_and_a_newer_progress_replaces_a_waiting_one() -> None:
    outbox = Outbox()
    feedback = Feedback(JsonText("1"), append=True)
    for notice in (Progress(1, None, None), Heartbeat("one"), feedback, Progress(2, None, None)):
        outbox.put(notice)
    outbox.close()
    taken = [await outbox.next(math.inf) for _ in range(4)]
    assert taken == [Heartbeat("one"), feedback, Progress(2, None, None), None]


async def test_a_heartbeat_is_due_when_nothing_was_reported() -> None:
    assert await Outbox().next(heartbeat_at=0.0) == Heartbeat()


async def test_a_heartbeat_that_is_overdue_goes_before_what_waits() -> None:
    outbox = Outbox()
    outbox.put(Feedback(JsonText("1"), append=False))
    assert await outbox.next(heartbeat_at=0.0) == Heartbeat()
    assert await outbox.next(math.inf) == Feedback(JsonText("1"), append=False)


async def test_next_waits_for_a_notice() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.next(math.inf))
    await asyncio.sleep(0)
    outbox.put(Heartbeat("late"))
    assert await waiting == Heartbeat("late")


async def test_a_closed_outbox_takes_nothing_more() -> None:
    outbox = Outbox()
    outbox.close()
    outbox.put(Heartbeat("too late"))
    assert await outbox.next(heartbeat_at=0.0) is None


async def test_definitions_with_as_many_free_slots_share_a_poll() -> None:
    slots = Slots({"a": 2, "b": 2, "c": 1})
    assert slots.claim_polls() == [(2, ["a", "b"]), (1, ["c"])]
    assert slots.claim_polls() == []


async def test_a_definition_is_asked_for_again_with_the_slots_that_are_left() -> None:
    slots = Slots({"a": 3})
    slots.claim_polls()
    slots.take("a")
    slots.end_poll(["a"])
    assert slots.claim_polls() == [(2, ["a"])]


async def test_a_definition_without_a_free_slot_waits_for_one() -> None:
    slots = Slots({"a": 1})
    slots.claim_polls()
    slots.take("a")
    slots.end_poll(["a"])
    await slots.changed()
    assert slots.claim_polls() == []
    slots.give_back("a")
    await slots.changed()
    assert slots.claim_polls() == [(1, ["a"])]
