"""Each rule of the checker is shown good histories and bad ones: it has to be silent about the one, and find the
other."""

from typing import Any

import pytest

from tests.faults.checker.check import check
from tests.faults.checker.creates import account
from tests.faults.history import History
from tests.faults.story import PLAIN, Story

QUICK: dict[str, Any] = {
    "requestedToStartTimeout": 1000, "inProgressTimeout": 2000, "retryDelay": 500, "allowedRetryCount": 2
}  # fmt: skip


def story(**run: Any) -> Story:
    return Story({PLAIN: QUICK, "faults/limited": {**QUICK, "concurrencyLimit": 1}}, **run)


def broken_rules(history: History) -> set[int]:
    return {violation.rule for violation in check(history)}


def test_a_history_without_a_fault_violates_nothing() -> None:
    told = story()
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
    told = story()
    told.create("t0")
    history = told.end()
    history.listed.clear()
    assert broken_rules(history) == {1}


def test_a_task_that_nobody_created_is_found_and_one_whose_create_was_not_answered_is_recovered() -> None:
    told = story()
    told.create("t0", heard=False)
    assert check(told.end()) == []
    assert account(told.end()).recovered == ["t0"]
    told.refused("task/create-and-execute", "unavailable", id="t1", definition=PLAIN)
    told.begin("t1", PLAIN, "ready")
    assert 1 in broken_rules(told.end())


def test_a_create_that_made_two_tasks_is_found() -> None:
    told = story()
    told.unanswered("task/create-and-execute", definition=PLAIN, params={"nonce": "n"})
    told.begin("t0", PLAIN, "ready", params={"nonce": "n"})
    assert broken_rules(told.end()) <= {3}
    told.begin("t1", PLAIN, "ready", params={"nonce": "n"})
    assert [each.subject for each in check(told.end()) if each.rule == 1] == ["n"]


def test_a_task_that_is_not_done_after_the_drain_is_found() -> None:
    told = story()
    told.create("t0")
    assert broken_rules(told.drained()) == {1, 9}


def test_two_creates_of_one_id_are_found() -> None:
    told = story()
    told.create("t0")
    told.create("t0")
    assert 2 in broken_rules(told.end())


def test_two_resources_of_one_id_are_found() -> None:
    told = story()
    told.create("t0")
    history = told.end()
    history.listed.append(history.listed[0])
    assert broken_rules(history) == {2}


# (3)


def test_a_call_without_an_answer_may_take_effect_later_or_never() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0")
    told.unanswered("task/start", id="t0", execId="e0", callId="c")
    told.look("t0")
    told.happens("start", "t0", "in-progress", retryCount=1)
    told.succeed("t0", "e0")
    told.unanswered("task/cancel", id="t0")
    assert check(told.end()) == []


def test_a_refusal_that_fits_no_state_is_found() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0")
    told.refused("task/start", "stale-exec-id", id="t0", execId="e0")
    assert broken_rules(told.end()) == {3}


def test_a_read_that_shows_the_past_is_found() -> None:
    told = story()
    told.create("t0")
    told.look("t0")
    past = told.records[-1]["answer"]
    told.poll("t0", "e0")
    told.write("ok", op=told.invoke("task/status", id="t0"), answer=past)
    assert broken_rules(told.end()) == {3, 5}


def test_a_start_that_is_accepted_twice_is_found() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0")
    told.start("t0", "e0", callId="a")
    told.act("start", "t0", "in-progress", execId="e0", callId="b")
    assert {3, 4, 5} <= broken_rules(told.end())


def test_a_repeat_with_the_same_call_id_is_the_same_call() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0")
    told.start("t0", "e0", callId="a", heard=False)
    answer = {"resource": {**told.there["t0"]}}
    told.write("ok", op=told.invoke("task/start", id="t0", execId="e0", callId="a"), answer=answer)
    assert check(told.end()) == []


def test_an_attempt_too_many_fits_no_order() -> None:
    told = story()
    told.create("t0")
    for n in range(3):
        told.poll("t0", f"e{n}")
        told.start("t0", f"e{n}")
        told.act("fail", "t0", "waiting", execId=f"e{n}")
        told.wait(0.5)
        told.happens("due", "t0", "ready")
    assert broken_rules(told.end()) == {3, 6}


# (4)


def test_an_exec_id_that_is_handed_out_twice_is_found() -> None:
    told = story()
    for n in range(2):
        told.create(f"t{n}")
        told.poll(f"t{n}", "e0")
    assert broken_rules(told.end()) == {4}


def test_an_end_of_an_old_execution_is_found() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0", start=True)
    told.wait(2.1)
    told.happens("in-progress-timeout", "t0", "waiting")
    told.wait(0.6)
    told.happens("due", "t0", "ready")
    told.poll("t0", "e1", start=True)
    told.succeed("t0", "e0")
    assert {3, 4} <= broken_rules(told.end())


def test_two_ends_of_one_execution_are_found() -> None:
    told = story()
    told.create("t0")
    told.finish("t0", "e0")
    told.act("fail", "t0", "waiting", execId="e0")
    assert 4 in broken_rules(told.end())


# (5)


def test_a_line_of_the_log_that_does_not_follow_is_found() -> None:
    told = story()
    told.create("t0")
    told.log("due", "t0", "waiting", "ready")
    assert broken_rules(told.end()) == {5}


def test_a_second_final_state_in_a_generation_is_found() -> None:
    told = story()
    told.create("t0")
    told.finish("t0", "e0")
    told.happens("cancel", "t0", "done", outcome="canceled")
    assert 5 in broken_rules(told.end())


def test_a_change_that_the_log_does_not_tell_is_found() -> None:
    told = story()
    told.create("t0")
    told.there["t0"]["meta"] = {"versionId": "2"}
    assert 5 in broken_rules(told.end())


def test_a_version_that_was_seen_in_two_states_is_found() -> None:
    told = story()
    told.create("t0")
    told.look("t0")
    told.records[-1]["answer"]["resource"]["status"] = "done"
    assert {3, 5} <= broken_rules(told.end())


def test_a_retry_begins_a_generation_with_a_final_state_of_its_own() -> None:
    told = story()
    told.create("t0")
    told.act("cancel", "t0", "done", outcome="canceled")
    told.act("retry", "t0", "ready", outcome=None)
    told.finish("t0", "e0")
    assert check(told.drained()) == []


# (6)


def _timed_out(told: Story, seconds: float) -> History:
    told.create("t0")
    told.poll("t0", "e0")
    told.wait(seconds)
    told.happens("requested-timeout", "t0", "ready")
    return told.end()


@pytest.mark.parametrize(("seconds", "rules"), [(1.0, set()), (2.9, set()), (0.5, {6}), (3.5, {6})])
def test_a_timeout_is_neither_early_nor_late(seconds: float, rules: set[int]) -> None:
    assert broken_rules(_timed_out(story(), seconds)) == rules


def test_after_an_outage_a_timeout_has_its_whole_time_anew() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0")
    told.fault("kill-postgres", 7.0, "postgres")
    told.wait(2.5)
    told.happens("requested-timeout", "t0", "ready")
    assert check(told.end()) == []


@pytest.mark.parametrize(("seconds", "rules"), [(5.0, set()), (3.0, {6}), (8.0, {6})])
def test_a_task_is_due_when_it_was_asked_for(seconds: float, rules: set[int]) -> None:
    told = story()
    told.create("t0", executeAt="1970-01-01T00:00:05Z")
    told.wait(seconds - told.now)
    told.happens("due", "t0", "ready")
    assert broken_rules(told.end()) == rules


def test_a_task_that_is_asked_to_stop_keeps_its_deadline() -> None:
    told = story()
    told.create("t0")
    told.poll("t0", "e0", start=True)
    told.act("stop", "t0", "in-progress")
    told.wait(1.5)
    op = told.invoke("task/notify", id="t0", execId="e0", notification="heartbeat")
    told.happens("notify", "t0", "in-progress")
    told.write("ok", op=op, answer={"inProgressTimeout": 2000, "stopRequested": True})
    told.wait(0.6)
    told.happens("in-progress-timeout", "t0", "done", outcome="canceled")
    assert check(told.drained()) == []


# (7)


def test_a_limit_that_is_exceeded_is_seen_by_the_log_and_by_the_clients() -> None:
    told = story()
    for n in range(2):
        told.create(f"t{n}", "faults/limited")
    told.poll("t0", "e0")
    told.poll("t1", "e1")
    found = [violation.message for violation in check(told.end())]
    assert [message.rpartition(" ")[2] for message in found] == ["(log)", "(clients)"]


def test_a_limit_that_is_kept_violates_nothing() -> None:
    told = story()
    for n in range(3):
        told.create(f"t{n}", "faults/limited")
    for n in range(3):
        told.finish(f"t{n}", f"e{n}")
    assert check(told.drained()) == []


# (9)


def test_a_server_that_does_not_answer_after_the_faults_is_found() -> None:
    told = story(servers=["server-0", "server-1"])
    assert broken_rules(told.drained()) == {9}


def test_a_queue_that_drains_too_slowly_is_found() -> None:
    told = story()
    told.create("t0")
    told.write("mark", name="faults-over")
    told.wait(61)
    told.finish("t0", "e0")
    history = told.drained()
    assert check(history) == []
    history.marks["faults-over"] = 0.001
    assert broken_rules(history) == {9}


def test_a_defect_is_found() -> None:
    told = story()
    told.write("info", op=told.invoke("task/poll", taskDefinitions=[PLAIN]), error={"type": "internal-error"})
    assert broken_rules(told.end()) == {9}


def _ignored(told: Story, *, disturbed: bool) -> History:
    op = told.invoke("task/long-poll", taskDefinitions=[PLAIN], timeout=10_000)
    told.create("t0")
    if disturbed:
        told.fault("freeze-server", 5.0)
    told.wait(5.0)
    told.write("ok", op=op, answer={"resources": []})
    return told.end()


def test_a_task_that_is_kept_from_a_waiting_poll_is_found() -> None:
    assert broken_rules(_ignored(story(), disturbed=False)) == {9}
    assert broken_rules(_ignored(story(), disturbed=True)) == set()


# (10)


def test_a_run_that_saw_nothing_proves_nothing() -> None:
    told = story(complete=True)
    assert [violation.rule for violation in check(told.drained())] == [10] * 6
