"""Times on the wire."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.timestamps import format_time, parse_time

TIMES = st.datetimes(
    datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9.5))])
)


@given(TIMES)
def test_what_is_written_is_read_as_the_same_time(at: datetime) -> None:
    text = format_time(at)
    assert len(text) == len("2023-05-04T16:33:14.682354Z")
    assert text.endswith("Z")
    assert parse_time(text) == at
    assert parse_time(text).tzinfo is UTC


@given(TIMES, TIMES)
def test_texts_are_in_the_order_of_their_times(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@given(TIMES, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_an_offset_is_taken_away(at: datetime, minutes: int) -> None:
    local = at.astimezone(timezone(timedelta(minutes=minutes)))
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert parse_time(f"{local:%Y-%m-%dT%H:%M:%S.%f}".rjust(26, "0") + offset) == at


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2023-05-04T15:30:43Z", "2023-05-04T15:30:43.000000Z"),
        ("2023-05-04t15:30:43z", "2023-05-04T15:30:43.000000Z"),
        ("2023-05-04 15:30:43", "2023-05-04T15:30:43.000000Z"),
        ("2023-05-04T15:30", "2023-05-04T15:30:00.000000Z"),
        ("2023-05-04", "2023-05-04T00:00:00.000000Z"),
        ("2023-05-04T15:30:43.5Z", "2023-05-04T15:30:43.500000Z"),
        ("2023-05-04T15:30:43,25", "2023-05-04T15:30:43.250000Z"),
        ("2023-05-04T15:30:43.123456789Z", "2023-05-04T15:30:43.123456Z"),
        ("2023-05-04T15:30:43+02:00", "2023-05-04T13:30:43.000000Z"),
        ("2023-05-04T15:30:43 -0330", "2023-05-04T19:00:43.000000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_times_as_clients_write_them(text: str, written: str) -> None:
    assert format_time(parse_time(text)) == written


@pytest.mark.parametrize(
    "text",
    ["", "now", "2023", "2023-5-4", "20230504", "2023-05-04T15", "2023-05-04T15:30:43+2", "2023-05-04T15:30:43ZZ",
     "2023-05-04T15:30:43.Z", "2023-05-04T15:30:43.1234567890Z", " 2023-05-04", "2023-05-04\n", "٢٠٢٣-05-04"],
)  # fmt: skip
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time like 2023-05-04T15:30:43Z"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["2023-02-29", "2023-13-01", "2023-00-01", "0000-01-01", "2023-05-04T24:00", "2023-05-04T15:60",
     "2023-05-04T15:30:60Z", "2023-05-04T15:30:43+24:00", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"],
)  # fmt: skip
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        parse_time(text)


@pytest.mark.parametrize("text", ["1899-12-31T23:59:59Z", "0001-01-01", "9999-12-31T23:59:59.000001Z"])
def test_a_time_that_databases_and_clients_take_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too far away; use a time from 1900-01-01 to 9999-12-31T23:59:59Z"):
        parse_time(text)


@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", fullmatch=True))
def test_a_text_is_a_time_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(format_time(parse_time(text))) == parse_time(text)
