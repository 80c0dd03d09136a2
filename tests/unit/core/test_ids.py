"""UUIDv7, and the form that clients' own ids have."""

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.ids import Uuid7, is_id, uuid7

RANDOM = (1 << 62) - 1


def _at(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: milliseconds * 1_000_000 + 999_999)


def test_it_has_the_version_and_the_variant_of_uuid_7() -> None:
    for _ in range(1000):
        made = uuid.UUID(uuid7())
        assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_it_is_written_in_the_usual_form_and_is_an_id() -> None:
    made = uuid7()
    assert str(uuid.UUID(made)) == made
    assert is_id(made)


def test_its_first_48_bits_are_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    _at(monkeypatch, 0x0123_4567_89AB)
    assert Uuid7()().startswith("01234567-89ab-7000-")


def test_those_of_one_process_grow_strictly() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))


@given(st.lists(st.integers(1, 2**47), min_size=2, max_size=30))
def test_they_grow_strictly_whatever_the_clock_does(clock: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        make = Uuid7()
        made = []
        for milliseconds in clock:
            _at(patch, milliseconds)
            made.append(make())
    assert made == sorted(set(made))
    assert {uuid.UUID(text).version for text in made} == {7}


def test_more_than_a_millisecond_holds_go_on_into_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    _at(monkeypatch, 5)
    make = Uuid7()
    made = [make() for _ in range(4097)]
    assert made == sorted(set(made))
    assert (made[4095][:18], made[4096][:18]) == ("00000000-0005-7fff", "00000000-0006-7000")


def test_the_rest_is_random() -> None:
    assert len({uuid.UUID(uuid7()).int & RANDOM for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["a", "A.b_c-9", "x" * 64, ".", "-", "019a"])
def test_a_text_of_the_allowed_characters_is_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("value", ["", "x" * 65, "a b", "a/b", "ä", "a\n", "a\0", "٣", None, 7, ["a"], b"a"])
def test_anything_else_is_none(value: object) -> None:
    assert not is_id(value)
