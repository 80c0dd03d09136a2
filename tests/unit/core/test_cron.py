"""Schedules: their ticks across the changes of the clocks, missed ones, and expressions that are none."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrpc.core.cron import Missed, Schedule, Turn, parse_schedule, parse_zone, turn

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(expression: str, after: str, count: int, timezone: str = BERLIN) -> list[str]:
    """The next ticks, in UTC."""
    schedule, moment, found = parse_schedule(expression, timezone), at(after), []
    for _ in range(count):
        tick = schedule.next_tick(moment)
        assert tick is not None
        found.append(f"{tick:%m-%d %H:%M}")
        moment = tick
    return found


def test_a_schedule_ticks_by_the_clock_of_its_zone() -> None:
    assert ticks("30 9 * * *", "2026-01-10", 2) == ["01-10 08:30", "01-11 08:30"]
    assert ticks("30 9 * * *", "2026-07-10", 2) == ["07-10 07:30", "07-11 07:30"]
    assert ticks("30 9 * * MON-FRI", "2026-01-10", 1, "UTC") == ["01-12 09:30"]


def test_a_tick_is_strictly_after_the_moment_that_is_asked_for() -> None:
    schedule = parse_schedule("* * * * *")
    assert schedule.next_tick(at("2026-01-10T12:00:00")) == at("2026-01-10T12:01:00")
    assert schedule.next_tick(at("2026-01-10T12:00:00.000001")) == at("2026-01-10T12:01:00")
    assert schedule.next_tick(at("2026-01-10T11:59:59.999999")) == at("2026-01-10T12:00:00")


# On 2026-03-29 in Berlin 02:00 is followed by 03:00 (01:00 UTC).
def test_in_spring_a_time_that_is_left_out_ticks_once_right_after_the_change() -> None:
    assert ticks("30 2 * * *", "2026-03-28", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert ticks("0,30 2,3 * * *", "2026-03-29", 3) == ["03-29 01:00", "03-29 01:30", "03-30 00:00"]


def test_in_spring_a_schedule_by_the_minute_passes_over_the_hour_that_there_is_not() -> None:
    assert ticks("*/30 * * * *", "2026-03-29T00:00:00", 3) == ["03-29 00:30", "03-29 01:00", "03-29 01:30"]


# On 2026-10-25 in Berlin 03:00 is followed by 02:00 (01:00 UTC): 02:30 is 00:30 and 01:30 UTC.
def test_in_autumn_a_time_that_comes_twice_ticks_the_first_time_only() -> None:
    assert ticks("30 2 * * *", "2026-10-24", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_in_autumn_nothing_ticks_again_after_a_moment_within_the_second_time() -> None:
    assert ticks("45 2 * * *", "2026-10-25T01:15:00", 1) == ["10-26 01:45"]


def test_in_autumn_a_schedule_by_the_minute_ticks_through_both_hours() -> None:
    found = ticks("*/30 * * * *", "2026-10-25T00:00:00", 4)
    assert found == ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"]


@pytest.mark.parametrize(
    ("nickname", "tick"),
    [
        ("@hourly", "01-10 13:00"),
        ("@daily", "01-11 00:00"),
        ("@Midnight", "01-11 00:00"),
        ("@weekly", "01-11 00:00"),
        ("@monthly", "02-01 00:00"),
        ("@yearly", "01-01 00:00"),
        ("@annually", "01-01 00:00"),
    ],
)
def test_nicknames_stand_for_expressions(nickname: str, tick: str) -> None:
    assert ticks(nickname, "2026-01-10T12:30:00", 1, "UTC") == [tick]


@given(
    st.sampled_from(["*/7 * * * *", "5 * * * *", "30 2 * * *", "0,59 0-4 * * *", "15 2 29 3 *", "15 2 25 10 *"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
)
def test_ticks_always_go_forward_and_none_lies_between_a_moment_and_its_next_tick(
    expression: str, timezone: str, moment: datetime
) -> None:
    schedule, now = parse_schedule(expression, timezone), moment.replace(tzinfo=UTC)
    tick = schedule.next_tick(now)
    assert tick is not None
    assert tick > now
    assert schedule.next_tick(tick - timedelta(microseconds=1)) == tick
    assert schedule.next_tick(now + (tick - now) / 2) == tick


def test_every_minute_of_a_year_with_both_changes_has_exactly_one_tick() -> None:
    schedule, moment = parse_schedule("*/20 * * * *", BERLIN), at("2026-03-28")
    found = []
    while moment < at("2026-03-31"):
        moment = schedule.next_tick(moment) or moment
        found.append(moment)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=20)}


def test_a_tick_within_its_deadline_fires_and_the_next_may_be_past_already() -> None:
    schedule = parse_schedule("* * * * *")
    tick, now = at("2026-01-10T12:00:00"), at("2026-01-10T12:01:30")
    assert turn(schedule, tick, now, 90) == Turn(True, at("2026-01-10T12:01:00"))


def test_ticks_beyond_their_deadline_are_passed_over_in_one_go() -> None:
    schedule = parse_schedule("* * * * *")
    tick, now = at("2026-01-10T12:00:00"), at("2026-01-17T12:00:30")
    assert turn(schedule, tick, now, 60) == Turn(False, at("2026-01-17T12:00:00"))
    assert turn(schedule, tick, now, 30) == Turn(False, at("2026-01-17T12:00:00"))
    assert turn(schedule, tick, now, 29) == Turn(False, at("2026-01-17T12:01:00"))


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("", "has 0 fields"),
        ("@reboot", "has 1 fields"),
        ("61 * * * *", "Bad minute"),
        ("* * * * 8", "Bad day-of-week"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 */31 2 6#5", "never comes"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_reason(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_schedule(expression)


@pytest.mark.parametrize("name", ["Europe/Berlinn", "Europe", "../etc/passwd", "", "a" * 300, "\x00"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone like"):
        parse_zone(name)


@given(st.text(alphabet="0123456789*/,-#LWMONx ", max_size=30))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    assert isinstance(schedule, Schedule)


def test_six_fields_begin_with_seconds() -> None:
    schedule = parse_schedule("*/20 30 12 * * *", "UTC")
    assert schedule.next_tick(at("2026-01-10T12:30:20")) == at("2026-01-10T12:30:40")
    assert schedule.next_tick(at("2026-01-10T12:30:40")) == at("2026-01-11T12:30:00")
    with pytest.raises(ValueError, match="has 7 fields; five are needed"):
        parse_schedule("* * * * * * *")


@pytest.mark.parametrize(
    ("missed", "now", "fires", "following"),
    [
        # nobody was there from 12:10 on
        ("all", "12:35:10", True, "12:20:00"),
        ("last", "12:35:10", False, "12:30:00"),
        ("none", "12:35:10", False, "12:40:00"),
        # it is the only one
        ("last", "12:15:00", True, "12:20:00"),
        ("none", "12:11:00", True, "12:20:00"),
        ("none", "12:11:01", False, "12:20:00"),
        # it is later than its deadline of an hour
        ("all", "13:45:00", False, "12:50:00"),
        ("last", "13:45:00", False, "13:40:00"),
        ("none", "13:45:00", False, "13:50:00"),
    ],
)
def test_of_missed_ticks_all_the_last_or_none_fire(missed: Missed, now: str, fires: bool, following: str) -> None:
    schedule, tick = parse_schedule("*/10 * * * *"), at("2026-01-10T12:10:00")
    verdict = turn(schedule, tick, at(f"2026-01-10T{now}"), 3600, missed)
    assert verdict == Turn(fires, at(f"2026-01-10T{following}"))


@given(
    st.sampled_from(["* * * * * *", "*/7 * * * *", "30 2 * * *", "* 2 * * *", "0 0 29 2 *", "0 12 1 * MON#1"]),
    st.datetimes(datetime(2026, 3, 20), datetime(2026, 11, 1)),
    st.integers(0, 5 * 86400),
)
def test_the_last_tick_is_the_one_after_which_none_has_come(expression: str, start: datetime, seconds: int) -> None:
    schedule = parse_schedule(expression, BERLIN)
    tick = schedule.next_tick(start.replace(tzinfo=UTC))
    assert tick is not None
    now = tick + timedelta(seconds=seconds)
    last = schedule.last_tick(tick, now)
    following = schedule.next_tick(last)
    assert tick <= last <= now
    assert following is not None
    assert following > now
    assert last == tick or schedule.next_tick(last - timedelta(microseconds=1)) == last
