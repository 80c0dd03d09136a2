"""Rule 4 is shown good histories and bad ones, and has to tell them apart."""

from tests.faults.checker.check import broken_rules
from tests.faults.story import quick_story


def test_an_exec_id_that_is_handed_out_twice_is_found() -> None:
    told = quick_story()
    for n in range(2):
        told.create(f"t{n}")
        told.poll(f"t{n}", "e0")
    assert broken_rules(told.end()) == {4}


def test_an_end_of_an_old_execution_is_found() -> None:
    told = quick_story()
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
    told = quick_story()
    told.create("t0")
    told.finish("t0", "e0")
    told.act("fail", "t0", "waiting", execId="e0")
    assert 4 in broken_rules(told.end())


def test_a_result_that_is_not_that_of_the_execution_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0", start=True)
    told.succeed("t0", "e0")
    told.there["t0"]["result"] = "of another one"
    assert broken_rules(told.end()) == {4, 5}


def test_a_success_that_nobody_has_told_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.poll("t0", "e0", start=True)
    told.happens("success", "t0", "done", outcome="succeeded")
    assert broken_rules(told.end()) == {3, 4}


def test_a_line_of_the_log_about_another_execution_is_found() -> None:
    told = quick_story()
    told.create("t0")
    told.finish("t0", "e0")
    line = next(each for each in told.records if each["kind"] == "transition" and "success" in str(each))
    line["resource"]["action-params"]["execId"] = "e1"
    assert broken_rules(told.end()) == {4}


def test_an_exec_id_that_the_log_has_twice_is_found() -> None:
    told = quick_story()
    for n in range(2):
        told.create(f"t{n}")
        told.poll(f"t{n}", "e0", heard=False)
    assert broken_rules(told.end()) == {4}
