"""Rules 6, 7, 9 and 10 are shown good histories and bad ones, and have to tell them apart."""

import pytest

from tests.faults.checker.check import broken_rules, check
from tests.faults.checker.coverage import DROPPED, seen
from tests.faults.history import History
from tests.faults.story import BRIEF, LIMITED, PLAIN, Story, quick_story

# (6)


def _timed_out(told: Story, seconds: float) -> History:
    told.create("t0")
    told.poll("t0", "e0")
    told.wait(seconds)
    told.happens("requested-timeout", "t0", "ready")
    return told.end()


@pytest.mark.parametrize(("seconds", "rules"), [(1.0, set()), (2.9, set()), (0.5, {6}), (3.5, {6})])
def test_a_timeout_is_neither_early_nor_late(seconds: float, rules: set[int]) -> None:
    assert broken_rules(_timed_out(quick_story(), seconds)) == rules


def test_after_an_outage_a_timeout_has_its_whole_time_anew() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    told.fault("kill-postgres", 7.0, "postgres")
    told.wait(2.5)
    told.happens("requested-timeout", "t0", "ready")
    assert check(told.end()) == []


@pytest.mark.parametrize(
    ("faults", "rules"),
    [
        ([("freeze-postgres", "postgres")], set()),
        ([("kill-primary", "node-1")], set()),
        ([("freeze-server", "server-0")], set()),  # amid a transaction that holds locks
        ([("deaf", "server-0/postgres")], set()),
        ([("kill-server", "server-0")], {6}),
        ([("drop-commits", "server-0/postgres")], {6}),
        ([("drop-commits", "server-0/postgres"), ("kill-server", "server-1")], set()),
        ([("deaf", "clients/server-0"), ("deaf", "clients/server-1")], {6}),
        ([("freeze-executors", "executors-0")], {6}),
    ],
)
def test_a_timeout_may_be_late_only_when_no_server_could_do_its_work(
    faults: list[tuple[str, str]], rules: set[int]
) -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0")
    for number, (name, target) in enumerate(faults):
        told.write("fault", number=number, fault=name, target=target)
    told.wait(4.0)
    for number in range(len(faults)):
        told.write("healed", number=number)
    told.happens("requested-timeout", "t0", "ready")
    assert broken_rules(told.end()) == rules


@pytest.mark.parametrize(("seconds", "rules"), [(3.0, set()), (4.9, set()), (2.9, {6}), (5.1, {6})])
def test_a_task_is_dropped_when_its_whole_time_has_passed(seconds: float, rules: set[int]) -> None:
    told = quick_story()
    told.create("t0", BRIEF)
    told.wait(seconds - 0.5)
    told.act("cancel", "t0", "done", outcome="canceled", callId="a")
    told.act("retry", "t0", "ready", outcome=None, callId="b")
    told.wait(seconds)
    told.happens("dropped", "t0", "done", outcome="failed")
    assert broken_rules(told.drained()) == rules


def test_only_a_task_that_has_a_whole_time_is_dropped() -> None:
    told = quick_story()
    told.create("t0")
    told.wait(3.0)
    told.happens("dropped", "t0", "done", outcome="failed")
    assert broken_rules(told.end()) == {3}


def test_after_an_outage_no_task_has_its_whole_time_anew() -> None:
    told = quick_story()
    told.create("t0", BRIEF)
    told.fault("kill-postgres", 4.0, "postgres")
    told.wait(4.5)
    told.happens("dropped", "t0", "done", outcome="failed")
    assert broken_rules(told.end()) == {6}


@pytest.mark.parametrize(("seconds", "rules"), [(5.0, set()), (3.0, {6}), (8.0, {6})])
def test_a_task_is_due_when_it_was_asked_for(seconds: float, rules: set[int]) -> None:
    told = quick_story()
    told.create("t0", executeAt="1970-01-01T00:00:05Z")
    told.wait(seconds - told.now)
    told.happens("due", "t0", "ready")
    assert broken_rules(told.end()) == rules


def test_a_task_that_is_asked_to_stop_keeps_its_deadline() -> None:
    told = quick_story()
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
    told = quick_story()
    for n in range(2):
        told.create(f"t{n}", LIMITED)
    told.poll("t0", "e0")
    told.poll("t1", "e1")
    found = [violation.message for violation in check(told.end())]
    assert [message.rpartition(" ")[2] for message in found] == ["(log)", "(clients)"]


def test_a_limit_that_is_kept_violates_nothing() -> None:
    told = quick_story()
    for n in range(3):
        told.create(f"t{n}", LIMITED)
    for n in range(3):
        told.finish(f"t{n}", f"e{n}")
    assert check(told.drained()) == []


# (9)


def test_a_server_that_does_not_answer_after_the_faults_is_found() -> None:
    assert broken_rules(quick_story().drained(answering=["server-0"])) == {9}


def test_a_queue_that_drains_too_slowly_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.write("mark", name="faults-over")
    told.wait(61)
    told.finish("t0", "e0")
    history = told.drained()
    assert check(history) == []
    history.marks["faults-over"] = 0.001
    assert broken_rules(history) == {9}


def test_a_defect_is_found() -> None:
    told = quick_story()
    told.write("info", op=told.invoke("task/poll", taskDefinitions=[PLAIN]), error={"type": "internal-error"})
    assert broken_rules(told.end()) == {9}


def test_a_traceback_in_the_log_of_a_server_is_found() -> None:
    told = quick_story()
    told.write("defect", server="server-0", text="KeyError")
    assert broken_rules(told.end()) == {9}


OF_A_POLL = ("executors-0", "clients/server-0", "server-0", "server-0/postgres", "postgres")
OF_OTHERS = ("executors-1", "clients/server-1", "server-1", "server-1/postgres")


def test_a_run_that_was_cut_off_is_found() -> None:
    assert broken_rules(quick_story(minutes=2).end()) == {9}
    assert broken_rules(quick_story(minutes=2).drained()) == set()


def _ignored(disturbed: str | None = None) -> History:
    told = quick_story()
    op = told.invoke("task/long-poll", "executors-0.0.1", taskDefinitions=[PLAIN], timeout=10_000)
    told.create("t0")
    if disturbed is not None:
        told.fault("some", 5.0, disturbed)
    told.wait(5.0)
    told.write("ok", op=op, answer={"resources": []})
    return told.end()


def test_a_task_that_is_kept_from_a_waiting_poll_is_found() -> None:
    assert broken_rules(_ignored()) == {9}
    assert {target: broken_rules(_ignored(target)) for target in OF_A_POLL} == {each: set() for each in OF_A_POLL}
    assert {target: broken_rules(_ignored(target)) for target in OF_OTHERS} == {each: {9} for each in OF_OTHERS}


# (10)


def test_a_run_that_saw_nothing_proves_nothing() -> None:
    told = quick_story(complete=True)
    assert [violation.rule for violation in check(told.drained())] == [10] * 12


def test_a_run_whose_definitions_have_no_timeout_has_not_promised_to_see_one() -> None:
    found = check(Story(complete=True).drained())
    assert [violation.rule for violation in found] == [10] * 11
    assert not [violation for violation in found if DROPPED in violation.message]


def test_a_fault_amid_a_long_poll_is_one_that_can_reach_it() -> None:
    met = {target: seen(_ignored(target))["a fault amid a long poll"] for target in (*OF_A_POLL, *OF_OTHERS)}
    assert met == {target: int(target in OF_A_POLL) for target in met}


def test_a_retry_is_a_second_generation() -> None:
    told = quick_story()
    told.create("t0")
    told.refused("task/retry", "wrong-status", id="t0")
    told.act("cancel", "t0", "done", outcome="canceled")
    assert seen(told.end())["a retry"] == 0
    told.act("retry", "t0", "ready", outcome=None)
    assert seen(told.end())["a retry"] == 1
