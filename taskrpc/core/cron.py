"""When schedules tick: cron expressions in a time zone. Times come in and go out aware, in UTC.

At a change of the clocks it is as with Debian's cron. A schedule that names its minutes and hours ticks once a day: a
time that the change leaves out ticks right after it, one that comes twice ticks the first time. A schedule whose minute
or hour begins with `*` follows the clock on the wall.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS: Final = (5, 6)
_NICKNAMES: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Which of the ticks fire that nobody was there for, or that waited.
Missed = Literal["all", "last", "none"]
PROMPT_SECONDS: Final = 60
_FIRST_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOME_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression of five fields, or of six that begin with seconds, and the zone in which it is meant."""

    expression: str
    zone: ZoneInfo

    def next_tick(self, after: datetime) -> datetime | None:
        """The first tick after a moment; None when there is none within fifty years."""
        for tick in CronSim(self.expression, after.astimezone(self.zone)):
            at = tick.astimezone(UTC)
            if at > after:  # an hour that comes twice leads cronsim back into its first time
                return at
        return None

    def previous_tick(self, before: datetime) -> datetime | None:
        """The last tick before a moment; None when there was none since 1970."""
        newest = self.last_tick(_FIRST_MOMENT, before - _INSTANT)
        return None if newest == _FIRST_MOMENT else newest

    def last_tick(self, tick: datetime, until: datetime) -> datetime:
        """The last tick from a tick on that is not after a moment; that tick itself if the moment is before it."""
        gap = timedelta(seconds=1)
        while until - gap > tick and self._none_between(until - gap, until):
            gap *= 4
        newest, following = tick, self.next_tick(max(until - gap, tick))
        while following is not None and following <= until:
            newest, following = following, self.next_tick(following)
        return newest

    def _none_between(self, after: datetime, until: datetime) -> bool:
        following = self.next_tick(after)
        return following is None or following > until


@dataclass(frozen=True, slots=True)
class Turn:
    """What a tick that has come means: whether it still fires, and the tick after it, perhaps past already."""

    fires: bool
    following: datetime | None


def turn(schedule: Schedule, tick: datetime, now: datetime, deadline_seconds: float, missed: Missed = "all") -> Turn:
    """Judges a tick at `now`. One that was missed for longer than its deadline does not fire any more, and neither do
    those that follow it and are as late: they are passed over in one go. Of those that are left fire `all`; the `last`
    one; or `none`, so only one that is not late by a minute or by another tick."""
    earliest = now - timedelta(seconds=deadline_seconds if missed != "none" else min(deadline_seconds, PROMPT_SECONDS))
    newest = tick if missed == "all" else schedule.last_tick(tick, now)
    if tick < newest:
        return Turn(False, newest if missed == "last" else schedule.next_tick(now))
    if tick >= earliest:
        return Turn(True, schedule.next_tick(tick))
    return Turn(False, schedule.next_tick(max(tick, earliest - _INSTANT)))


def parse_schedule(expression: str, timezone: str = "UTC") -> Schedule:
    """A schedule from what people write. Raises ValueError with a sentence: a field that is none, a zone that nobody
    knows, a schedule that never ticks."""
    fields = _NICKNAMES.get(expression.strip().lower(), expression).split()
    if len(fields) not in _FIELDS:
        names = ", ".join(sorted(_NICKNAMES))
        raise ValueError(f"{expression!r} has {len(fields)} fields; five are needed (minute hour day month weekday), "
                         f"six with a second before them, or one of {names}")  # fmt: skip
    schedule = Schedule(" ".join(fields), parse_zone(timezone))
    try:
        tick = schedule.next_tick(_SOME_MOMENT)
    except CronSimError as error:
        raise ValueError(f"{expression!r} is no schedule: {error}") from None
    if tick is None:
        raise ValueError(f"{expression!r} never comes")
    return schedule


def parse_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; raises ValueError with a sentence for others."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name that is a folder, or too long for a file's, is an OSError
        raise ValueError(f"{name[:80]!r} is no time zone like Europe/Berlin") from None
