"""Rules 1, 3 and 6 for what the server does by itself: good histories of waits, events and ticks, and bad ones."""

from typing import Any

import pytest

from tests.faults.checker.check import broken_rules, check
from tests.faults.history import History
from tests.faults.occasions import EVENT, LISTENER, SUBSCRIBE, WAIT
from tests.faults.story import PLAIN, Story, quick_story


def _begun(definition: str, params: Any) -> Story:
    told = quick_story()
    told.wait(10.0)
    op = told.invoke("task/create-and-execute", id="t", definition=definition, params=params)
    told.begin("t", definition, "in-progress", params=params, retryCount=1)
    told.write("ok", op=op, answer={"resource": dict(told.there["t"])})
    return told


def _ended(told: Story, what: str, **changes: Any) -> Story:
    told.happens(what, "t", "done", **{"outcome": "succeeded", **changes})
    return told


# waits


@pytest.mark.parametrize(("seconds", "rules"), [(2.0, set()), (3.9, set()), (1.9, {6}), (4.1, {6})])
@pytest.mark.parametrize("params", [{"duration": {"seconds": 2}}, {"until": "1970-01-01T00:00:12.002Z"}])
def test_a_wait_is_neither_too_short_nor_too_long(params: Any, seconds: float, rules: set[int]) -> None:
    told = _begun(WAIT, params)
    told.wait(seconds)
    assert broken_rules(_ended(told, "due").drained()) == rules


def test_a_wait_until_a_time_that_is_past_ends_at_once() -> None:
    told = _begun(WAIT, {"until": "1970-01-01T00:00:05Z"})
    told.now -= 0.01  # by a transaction that began before
    assert check(_ended(told, "due").drained()) == []


def test_a_wait_may_be_late_after_an_outage_and_not_because_a_server_was_killed() -> None:
    late = {}
    for target in ("postgres", "server-0"):
        told = _begun(WAIT, {"duration": {"seconds": 2}})
        told.fault("kill", 5.0, target)
        late[target] = broken_rules(_ended(told, "due").drained())
    assert late == {"postgres": set(), "server-0": {6}}


def test_a_wait_that_is_canceled_and_begun_again_has_its_whole_time_anew() -> None:
    told = _begun(WAIT, {"duration": {"seconds": 2}})
    told.wait(1.0)
    told.act("cancel", "t", "done", outcome="canceled", callId="c")
    told.wait(5.0)
    told.act("retry", "t", "in-progress", outcome=None, retryCount=1, callId="r")
    told.wait(2.0)
    assert check(_ended(told, "due").drained()) == []


def test_a_wait_that_nobody_executes_is_found_when_somebody_did() -> None:
    told = _begun(WAIT, {"duration": {"seconds": 2}})
    told.act("stop", "t", "in-progress", callId="s")  # whoever stops a wait ends it
    told.wait(2.0)
    assert 3 in broken_rules(_ended(told, "due").drained())


# events


def _published(told: Story, nonce: str, *, heard: bool = True) -> dict[str, str]:
    event = {"resourceType": EVENT, "nonce": nonce}
    if heard:
        told.write("ok", op=told.invoke("event/publish", resource=event, callId="p"), answer={})
    else:
        told.unanswered("event/publish", resource=event, callId="p")
    return event


@pytest.mark.parametrize(("seconds", "rules"), [(0.5, set()), (2.5, {6})])
def test_a_subscription_ends_soon_after_its_event(seconds: float, rules: set[int]) -> None:
    told = _begun(SUBSCRIBE, {"select-by": []})
    event = _published(told, "t")
    told.wait(seconds)
    assert broken_rules(_ended(told, "event", result={"resource": event}).drained()) == rules


def test_an_event_that_a_subscription_was_not_told_is_missed() -> None:
    told = _begun(SUBSCRIBE, {"select-by": []})
    _published(told, "t")
    assert 1 in broken_rules(told.end())


def test_an_event_of_which_nobody_knows_whether_it_happened_may_be_told_or_not() -> None:
    told = _begun(SUBSCRIBE, {"select-by": []})
    event = _published(told, "t", heard=False)
    assert check(told.end()) == []
    assert check(_ended(told, "event", result={"resource": event}).drained()) == []


def test_a_subscription_that_ends_with_what_nobody_published_is_found() -> None:
    told = _begun(SUBSCRIBE, {"select-by": []})
    _published(told, "t")
    event = {"resourceType": EVENT, "nonce": "another"}
    assert 1 in broken_rules(_ended(told, "event", result={"resource": event}).drained())


# rules


def _put(room: str, rule: str) -> Story:
    told = quick_story()
    told.wait(10.0)
    told.write("ok", op=told.invoke(f"{room}/put", id=rule), answer={})
    return told


def _started(told: Story, task_id: str, rule: str, **requester: str) -> None:
    params = {"nonce": requester["event"]} if "event" in requester else {}
    told.begin(task_id, PLAIN, "ready", params=params, requester={"id": rule, **requester})


def _deleted(told: Story, room: str, rule: str) -> History:
    for task_id in list(told.there):
        told.finish(task_id, f"e-{task_id}")
    told.write("ok", op=told.invoke(f"{room}/delete", id=rule), answer={})
    return told.drained()


@pytest.mark.parametrize(
    ("events", "rules"), [(["n"], set()), ([], {1}), (["n", "n"], {1}), (["n", "unheard of"], {1})]
)
def test_a_rule_that_listens_starts_one_task_for_each_event(events: list[str], rules: set[int]) -> None:
    told = _put("subscription", LISTENER)
    _published(told, "n")
    for n, event in enumerate(events):
        _started(told, f"t{n}", LISTENER, event=event)
    told.wait(2.1)
    assert broken_rules(_deleted(told, "subscription", LISTENER)) == rules


@pytest.mark.parametrize(("seconds", "rules"), [(0.0, set()), (1.9, set()), (2.1, {1})])
def test_an_event_starts_nothing_if_its_rule_was_deleted_before_it_was_told(seconds: float, rules: set[int]) -> None:
    told = _put("subscription", LISTENER)
    _published(told, "n")
    told.wait(seconds)
    assert broken_rules(_deleted(told, "subscription", LISTENER)) == rules


@pytest.mark.parametrize(
    ("seconds", "ticks", "rules"),
    [
        (60.1, ["1970-01-01T00:01:00Z"], set()),
        (63.0, ["1970-01-01T00:01:00Z"], {6}),
        (59.0, ["1970-01-01T00:01:00Z"], {6}),
        (60.1, ["1970-01-01T00:01:00Z"] * 2, {1}),
        (65.0, [], {1}),
    ],
)
def test_each_tick_fires_once_and_in_time(seconds: float, ticks: list[str], rules: set[int]) -> None:
    told = _put("scheduler", "rule")
    told.wait(seconds - told.now)
    for n, tick in enumerate(ticks):
        _started(told, f"t{n}", "rule", tick=tick)
    told.wait(3.0)
    assert broken_rules(_deleted(told, "scheduler", "rule")) == rules


def test_a_tick_before_which_its_rule_was_gone_does_not_fire() -> None:
    told = _put("scheduler", "rule")
    told.wait(40.0)
    told.write("ok", op=told.invoke("scheduler/delete", id="rule"), answer={})
    told.wait(20.0)
    assert check(told.drained()) == []
