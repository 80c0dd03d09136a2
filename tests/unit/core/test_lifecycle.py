"""The life cycle: its edges, and what a call that changed nothing is told."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.lifecycle import (
    ALLOWED_FROM,
    EDGES,
    OUTCOMES,
    STATUSES,
    Call,
    Seen,
    Verdict,
    judge,
    phase,
)
from taskrpc.errors import TaskRpcError

OF_EXECUTION = ("start", "notify", "feedback", "success", "fail", "release")
OF_TASK = ("cancel", "stop", "retry")


def _call(name: str, exec_id: str | None = "current", call_id: str | None = None) -> Call:
    return Call(
        name, "t1", call_id or "made by the server", call_id is not None, exec_id if name in OF_EXECUTION else None
    )


def _seen(status: str, call: str | None = "poll", call_id: str | None = "other", outcome: str | None = None) -> Seen:
    done = "succeeded" if status == "done" else None
    return Seen(status, outcome or done, "current", call, call_id)


def _refusal(call: Call, task: Seen | None) -> TaskRpcError:
    with pytest.raises(TaskRpcError) as caught:
        judge(call, task)
    return caught.value


def test_edges_join_statuses() -> None:
    assert {status for before, _, after in EDGES for status in (before, after)} == set(STATUSES)


def test_every_status_is_reached_and_every_one_leads_to_the_end() -> None:
    reached, ends = {"created"}, {"done"}
    for _ in STATUSES:
        reached |= {after for before, _, after in EDGES if before in reached}
        ends |= {before for before, _, after in EDGES if after in ends}
    assert reached == ends == set(STATUSES)


def test_a_done_task_is_left_by_a_retry_only_and_nothing_is_created_twice() -> None:
    assert {what for before, what, _ in EDGES if before == "done"} == {"retry"}
    assert {what for before, what, _ in EDGES if before == "created"} == {"create"}
    assert "created" not in {after for _, _, after in EDGES}


@pytest.mark.parametrize("name", [*OF_EXECUTION, *OF_TASK])
def test_a_call_about_a_task_that_is_not_there(name: str) -> None:
    refusal = _refusal(_call(name), None)
    assert (refusal.type, refusal.message) == ("task-not-found", "There is no task 't1'")


def test_an_unknown_id_is_shown_shortened() -> None:
    assert len(_refusal(Call("start", "x" * 1000, "c", False, "e"), None).message) < 120


@pytest.mark.parametrize("status", ["waiting", "ready", "requested", "in-progress", "done"])
@pytest.mark.parametrize("name", OF_EXECUTION)
def test_a_call_of_an_execution_fits_where_an_edge_begins(name: str, status: str) -> None:
    task = _seen(status)
    if status in ("waiting", "ready"):  # such a task has no execution
        assert _refusal(_call(name), task).type == "stale-exec-id"
    elif status in ALLOWED_FROM[name]:
        assert judge(_call(name), task) is Verdict.FITS
    else:
        refusal = _refusal(_call(name), task)
        assert refusal.type == "wrong-status"
        assert refusal.data == {"status": status} | ({"outcome": "succeeded"} if status == "done" else {})
        assert refusal.message.startswith(f"Task t1 is {status}")


@pytest.mark.parametrize("name", OF_EXECUTION)
@pytest.mark.parametrize("status", ["waiting", "ready", "requested", "in-progress", "done"])
def test_another_execution_is_stale_in_every_status(name: str, status: str) -> None:
    refusal = _refusal(_call(name, "former"), _seen(status))
    assert (refusal.type, refusal.data) == ("stale-exec-id", {"status": status})
    assert "former" in refusal.message


@pytest.mark.parametrize("name", ["cancel", "stop"])
def test_what_is_done_cannot_be_ended(name: str) -> None:
    for status in ("waiting", "ready", "requested", "in-progress"):
        assert judge(_call(name), _seen(status)) is Verdict.FITS
    refusal = _refusal(_call(name), _seen("done", outcome="failed"))
    assert (refusal.type, refusal.data) == ("task-has-been-done", {"status": "done", "outcome": "failed"})


def test_what_failed_or_was_canceled_can_be_tried_again() -> None:
    assert judge(_call("retry"), _seen("done", outcome="failed")) is Verdict.FITS
    assert judge(_call("retry"), _seen("done", outcome="canceled")) is Verdict.FITS
    for task in (_seen("done"), _seen("ready")):
        refusal = _refusal(_call("retry"), task)
        assert refusal.type == "wrong-status"
        assert refusal.message.endswith("retry needs a task that is done with outcome failed or canceled")


@pytest.mark.parametrize("name", [*OF_EXECUTION, *OF_TASK])
@pytest.mark.parametrize("status", ["waiting", "ready", "requested", "in-progress", "done"])
def test_the_last_call_is_repeated_by_its_id_whatever_became_of_the_task(name: str, status: str) -> None:
    assert judge(_call(name, "current", "c1"), _seen(status, name, "c1")) is Verdict.REPEAT


@pytest.mark.parametrize("name", OF_EXECUTION)
@pytest.mark.parametrize("status", ["waiting", "ready", "requested", "in-progress", "done"])
def test_the_id_of_a_call_is_of_no_use_without_the_id_of_its_execution(name: str, status: str) -> None:
    """Ids of calls may be guessed, and the answer shows the task."""
    assert _refusal(_call(name, "any", "c1"), _seen(status, name, "c1")).type == "stale-exec-id"


@pytest.mark.parametrize("name", OF_EXECUTION)
def test_an_id_that_another_method_used_makes_no_repeat(name: str) -> None:
    task = _seen("done", "cancel", "c1")
    assert _refusal(_call(name, "current", "c1"), task).type == "wrong-status"


@pytest.mark.parametrize(("name", "other"), [("success", "fail"), ("fail", "success")])
def test_an_end_without_an_id_is_repeated_by_its_execution(name: str, other: str) -> None:
    for status in ("waiting", "ready", "done"):
        assert judge(_call(name), _seen(status, name)) is Verdict.REPEAT
    assert _refusal(_call(name, "former"), _seen("done", name)).type == "stale-exec-id"
    assert _refusal(_call(other), _seen("done", name)).type == "wrong-status"
    assert _refusal(_call(name, "current", "an id"), _seen("done", name)).type == "wrong-status"


def test_a_start_without_an_id_is_no_repeat() -> None:
    assert _refusal(_call("start"), _seen("in-progress", "start")).type == "wrong-status"


TEXT = st.sampled_from(["a", "b"])
TASKS = st.builds(
    Seen, st.sampled_from(STATUSES[1:]), st.none() | st.sampled_from(OUTCOMES), st.none() | TEXT,
    st.none() | st.sampled_from([*OF_EXECUTION, *OF_TASK]), st.none() | TEXT,
)  # fmt: skip


@given(st.sampled_from([*OF_EXECUTION, *OF_TASK]), TEXT, st.booleans(), TEXT, TASKS)
def test_a_call_that_fits_would_go_an_edge(name: str, call_id: str, own: bool, exec_id: str, task: Seen) -> None:
    call = Call(name, "t1", call_id, own, exec_id if name in OF_EXECUTION else None)
    with contextlib.suppress(TaskRpcError):
        if judge(call, task) is Verdict.FITS:
            assert task.status in ALLOWED_FROM[name]
            assert call.exec_id in (None, task.exec_id)
        else:
            assert task.call == name


@pytest.mark.parametrize(
    ("status", "outcome", "stop", "expected"),
    [
        ("created", None, False, "queued"), ("waiting", None, False, "queued"), ("ready", None, False, "queued"),
        ("requested", None, False, "queued"), ("in-progress", None, False, "running"),
        ("in-progress", None, True, "stopping"), ("done", "succeeded", True, "completed"),
        ("done", "canceled", False, "stopped"), ("done", "failed", False, "error"),
    ],
)  # fmt: skip
def test_the_phase_tells_it_in_one_word(status: str, outcome: str | None, stop: bool, expected: str) -> None:
    assert phase(status, outcome, stop) == expected
