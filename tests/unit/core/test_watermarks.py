"""What claims leave out, and that it is never more than former claims have shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.watermarks import (
    FULL_LOOK_SECONDS,
    LAG,
    MOST_FULL_LOOK_SECONDS,
    MOST_QUEUES,
    MOST_RANKS,
    Part,
    Watermarks,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
A, B = ("task", "a"), ("task", "b")
FIRST, LAST = -(2**31), 2**31 - 1


def _at(seconds: float) -> datetime:
    """So many seconds before the claim."""
    return NOW - timedelta(seconds=seconds)


def _row(rank: int = 0, seconds: float = 60, queue: tuple[str, str] = A, name: str = "t") -> dict[str, Any]:
    place = {"rank": rank, "ready_at": _at(seconds), "id": name}
    return {"kind": queue[0], "name": queue[1], "updated_at": NOW, **place}


def _taught(*rows: dict[str, Any], seconds: float = 0) -> Watermarks:
    marks = Watermarks()
    marks.learn(rows, marks.epoch, 0, seconds)
    return marks


def _looked_at(parts: list[Part], rank: int, at: datetime, name: str, backdated: bool = False) -> bool:
    """Whether a claim of these parts sees a task."""
    return any(
        part.backdated == backdated
        and (part.first_rank, part.since or at, part.first_id) <= (rank, at, name)
        and rank <= part.last_rank
        for part in parts
    )


def test_a_server_that_knows_nothing_looks_at_everything() -> None:
    everything = [Part(*A, True, FIRST, None, "", LAST), Part(*A, False, FIRST, None, "", LAST)]
    assert Watermarks().parts([A], 0) == everything
    assert not Watermarks().spare([A])


def test_what_became_due_before_a_task_that_was_handed_out_is_left_out_in_its_rank() -> None:
    marks = _taught(_row(0, 70), _row(0, 60), _row(3, 50))
    assert marks.parts([A], 0) == [
        Part(*A, True, FIRST, None, "", LAST),
        Part(*A, False, FIRST, None, "", -1),
        Part(*A, False, 0, _at(60), "t", 2),
        Part(*A, False, 3, _at(50), "t", LAST),
    ]
    assert marks.spare([B, A])


def test_another_queue_is_not_touched() -> None:
    assert _taught(_row(queue=B)).parts([A], 0) == Watermarks().parts([A], 0)
    assert not _taught(_row(queue=B)).spare([A])


def test_a_watermark_stays_behind_the_claim_that_it_comes_from() -> None:
    assert _taught(_row(0, 0)).parts([A], 0)[2][4:6] == (NOW - LAG, "")


def test_a_watermark_does_not_fall() -> None:
    marks = _taught(_row(0, 60))
    marks.learn([_row(0, 90), _row(0, 60, name="s")], marks.epoch, 0, 0)
    assert marks.parts([A], 0)[2][4:6] == (_at(60), "t")
    marks.learn([_row(0, 60, name="u")], marks.epoch, 0, 0)
    assert marks.parts([A], 0)[2][4:6] == (_at(60), "u")


def test_the_first_rank_of_all_may_have_a_watermark() -> None:
    parts = _taught(_row(FIRST, 60)).parts([A], 0)
    assert parts[1:] == [Part(*A, False, FIRST, _at(60), "t", LAST)]


def test_now_and_then_a_claim_looks_at_everything() -> None:
    marks = _taught(_row())
    assert marks.spare([A])
    marks.parts([A], FULL_LOOK_SECONDS - 0.001)
    assert marks.spare([A])
    assert marks.parts([A], FULL_LOOK_SECONDS) == Watermarks().parts([A], 0)
    assert not marks.spare([A])


@pytest.mark.parametrize(("took", "pause"), [(0.01, 1), (0.2, 4), (10, MOST_FULL_LOOK_SECONDS)])
def test_full_looks_that_take_long_come_less_often(took: float, pause: float) -> None:
    marks = _taught(_row(), seconds=took)
    marks.parts([A], pause - 0.001)
    assert marks.spare([A])
    marks.parts([A], pause)
    assert not marks.spare([A])


def test_a_claim_that_was_sent_before_something_was_found_below_teaches_nothing() -> None:
    marks = _taught(_row())
    epoch = marks.epoch
    marks.forget([A, B])
    marks.learn([_row(0, 10)], epoch, 0, 0)
    assert marks.parts([A], 0) == Watermarks().parts([A], 0)
    marks.learn([], marks.epoch, 0, 0)
    assert not marks.spare([A])
    marks.learn([_row()], marks.epoch, 0, 0)
    marks.forget(None)
    assert not marks.spare([A])


def test_few_ranks_and_queues_are_kept() -> None:
    marks = _taught(*(_row(rank) for rank in range(MOST_RANKS + 1)))
    assert [part.first_rank for part in marks.parts([A], 0)[1:]] == [FIRST, *range(1, MOST_RANKS + 1)]
    marks.learn([_row(queue=("task", str(n))) for n in range(MOST_QUEUES)], marks.epoch, 0, 0)
    assert not marks.spare([A])


RANKS, DUE, NAMES = st.integers(-3, 3), st.integers(0, 20), st.sampled_from("abc")


@given(st.lists(st.tuples(RANKS, DUE, NAMES), max_size=20), RANKS, st.integers(-5, 25), NAMES)
def test_whatever_is_not_before_the_watermark_of_its_rank_is_looked_at_once(
    handed_out: list[tuple[int, int, str]], rank: int, seconds: int, name: str
) -> None:
    marks = _taught(*(_row(r, due, name=n) for r, due, n in handed_out))
    parts = marks.parts([A], 0)
    known = [min((_at(due), n), (NOW - LAG, "")) for r, due, n in handed_out if r == rank]
    is_above = not known or (_at(seconds), name) >= max(known)
    assert _looked_at(parts, rank, _at(seconds), name) == is_above
    assert _looked_at(parts, rank, _at(seconds), name, backdated=True)
    covered = [r for part in parts[1:] for r in range(max(part.first_rank, -9), min(part.last_rank, 9) + 1)]
    assert covered == sorted(set(covered))
