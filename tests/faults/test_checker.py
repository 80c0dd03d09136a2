"""Rules 1, 2, 3 and 5 are shown good histories and bad ones, and have to tell them apart."""

import pytest

from tests.faults.checker.check import broken_rules, check
from tests.faults.checker.creates import account
from tests.faults.story import PLAIN, quick_story


def test_a_history_without_a_fault_violates_nothing() -> None:
    told = quick_story()
    for n in range(3):
        told.create(f"t{n}", params={"nonce": str(n)})
    told.finish("t0", "e0")
    told.poll("t1", "e1", heard=False)
    told.wait(1.1)
    told.happens("requested-timeout", "t1", "ready", execId=None)
    told.finish("t1", "e2")
    told.poll("t2", "e3", start=True)
    told.wait(2.1)
    told.happens("in-progress-timeout", "t2", "waiting")
    told.wait(0.6)
    told.refused("task/success", "stale-exec-id", id="t2", execId="e3")
    told.happens("due", "t2", "ready")
    told.finish("t2", "e4")
    assert check(told.drained()) == []


# (1), (2)


def test_a_lost_create_is_found() -> None:
    told = quick_story()
    told.create("t0")
    history = told.end()
    history.listed.clear()
    assert broken_rules(history) == {1}


def test_a_task_that_nobody_created_is_found_and_one_whose_create_was_not_answered_is_recovered() -> None:
    told = quick_story()
    told.create("t0", heard=False)
    assert check(told.end()) == []
    assert account(told.end()).recovered == ["t0"]
    told.refused("task/create-and-execute", "unavailable", id="t1", definition=PLAIN)
    told.begin("t1", PLAIN, "ready")
    assert 1 in broken_rules(told.end())


@pytest.mark.parametrize(("requester", "rules"), [("nobody", {1}), ("rule", set()), ("refused", {1}), ("t0", set())])
def test_a_task_whose_requester_is_not_there_is_found(requester: str, rules: set[int]) -> None:
    told = quick_story()
    told.create("t0")
    told.unanswered("scheduler/put", id="rule")
    told.refused("subscription/put", "invalid-params", id="refused")
    told.begin("t1", PLAIN, "ready", requester={"id": requester})
    assert broken_rules(told.end()) == rules


def test_a_create_that_made_two_tasks_is_found() -> None:
    told = quick_story()
    told.unanswered("task/create-and-execute", definition=PLAIN, params={"nonce": "n"})
    told.begin("t0", PLAIN, "ready", params={"nonce": "n"})
    assert broken_rules(told.end()) <= {3}
    told.begin("t1", PLAIN, "ready", params={"nonce": "n"})
    assert [each.subject for each in check(told.end()) if each.rule == 1] == ["n"]


def test_a_task_that_is_not_done_after_the_drain_is_found() -> None:
    told = quick_story()
    told.create("t0")
    assert broken_rules(told.drained()) == {1, 9}


def test_two_creates_of_one_id_are_found() -> None:
    told = quick_story()
    told.create("t0")
    told.create("t0")
    assert 2 in broken_rules(told.end())


def test_two_resources_of_one_id_are_found() -> None:
    told = quick_story()
    told.create("t0")
    history = told.end()
    history.listed.append(history.listed[0])
    assert broken_rules(history) == {2}


# (3)


def test_a_call_without_an_answer_may_take_effect_later_or_never() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    told.unanswered("task/start", id="t0", execId="e0", callId="c")
    told.look("t0")
    told.happens("start", "t0", "in-progress", retryCount=1)
    told.succeed("t0", "e0")
    told.unanswered("task/cancel", id="t0")
    assert check(told.end()) == []


def test_a_refusal_that_fits_no_state_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    told.refused("task/start", "stale-exec-id", id="t0", execId="e0")
    assert broken_rules(told.end()) == {3}


def test_a_read_that_shows_the_past_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.look("t0")
    past = told.records[-1]["answer"]
    told.poll("t0", "e0")
    told.write("ok", op=told.invoke("task/status", id="t0"), answer=past)
    assert broken_rules(told.end()) == {3, 5}


def test_a_start_that_is_accepted_twice_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    told.start("t0", "e0", callId="a")
    told.act("start", "t0", "in-progress", execId="e0", callId="b")
    assert {3, 4, 5} <= broken_rules(told.end())


def test_a_repeat_with_the_same_call_id_is_the_same_call() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    told.start("t0", "e0", callId="a", heard=False)
    answer = {"resource": {**told.there["t0"]}}
    told.write("ok", op=told.invoke("task/start", id="t0", execId="e0", callId="a"), answer=answer)
    assert check(told.end()) == []


def _notified_at_server_1(faulty: str) -> set[int]:
    """One notify that took effect twice, since the server repeated it when another one had come between."""
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0", start=True)
    told.fault("drop-commits", 0.1, faulty)
    op = told.invoke("task/notify", server="server-1", id="t0", execId="e0", callId="a")
    told.happens("notify", "t0", "in-progress")
    told.act("feedback", "t0", "in-progress", execId="e0", callId="b")
    told.happens("notify", "t0", "in-progress")
    told.write("ok", op=op, answer={"inProgressTimeout": 2000})
    told.succeed("t0", "e0")
    return broken_rules(told.end())


@pytest.mark.parametrize(("heard", "rules"), [(True, {3}), (False, set())])
def test_only_what_was_not_delivered_is_given_back_by_the_server(heard: bool, rules: set[int]) -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0", heard=heard, start=True)
    told.happens("release", "t0", "ready", retryCount=0)
    told.finish("t0", "e1")
    assert broken_rules(told.end()) == rules


def test_only_a_server_whose_way_to_the_database_was_disturbed_may_do_twice_what_it_repeats() -> None:
    excused = ("postgres", "server-1", "server-1/postgres")
    not_excused = ("clients/server-1", "server-0", "server-0/postgres", "executors-0")
    assert {faulty: _notified_at_server_1(faulty) for faulty in excused} == {each: set() for each in excused}
    assert {faulty: _notified_at_server_1(faulty) for faulty in not_excused} == {each: {3} for each in not_excused}


def test_an_attempt_too_many_fits_no_order() -> None:
    told = quick_story()
    told.create("t0")
    for n in range(3):
        told.poll("t0", f"e{n}")
        told.start("t0", f"e{n}")
        told.act("fail", "t0", "waiting", execId=f"e{n}")
        told.wait(0.5)
        told.happens("due", "t0", "ready")
    assert broken_rules(told.end()) == {3, 6}


# (5)


def test_a_line_of_the_log_that_does_not_follow_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.log("due", "t0", "waiting", "ready")
    assert broken_rules(told.end()) == {5}


def test_a_second_final_state_in_a_generation_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.finish("t0", "e0")
    told.happens("cancel", "t0", "done", outcome="canceled")
    assert 5 in broken_rules(told.end())


def test_a_change_that_the_log_does_not_tell_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.there["t0"]["meta"] = {"versionId": "2"}
    assert 5 in broken_rules(told.end())


def test_a_version_that_was_seen_in_two_states_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.look("t0")
    told.records[-1]["answer"]["resource"]["status"] = "done"
    assert {3, 5} <= broken_rules(told.end())


@pytest.mark.parametrize("name", ["outcome", "error", "feedback", "params"])
def test_an_end_that_is_not_as_it_was_seen_is_found(name: str) -> None:
    told = quick_story()
    told.create("t0", params={"nonce": "n"})
    told.poll("t0", "e0", start=True)
    told.act("fail", "t0", "waiting", execId="e0")
    told.look("t0")
    told.there["t0"][name] = "another"
    assert 5 in broken_rules(told.end())


def test_a_retry_begins_a_generation_with_a_final_state_of_its_own() -> None:
    told = quick_story()
    told.create("t0")
    told.act("cancel", "t0", "done", outcome="canceled")
    told.act("retry", "t0", "ready", outcome=None)
    told.finish("t0", "e0")
    assert check(told.drained()) == []
