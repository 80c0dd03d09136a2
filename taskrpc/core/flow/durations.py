"""ISO-8601 durations, such as PT1M30S or P1DT2H, as microseconds; times as microseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND: Final = 1_000_000
LONGEST: Final = 100 * 366 * 86_400 * SECOND
_FORM: Final = re.compile(
    r"P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:[.,](\d{1,9}))?S)?)?", re.I
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> int:
    """Microseconds; raises ValueError with a sentence for other text and for more than a hundred years."""
    found = _FORM.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text[:80]!r} is not a duration like PT1M30S or P1D")
    weeks, days, hours, minutes, seconds = (int(each or 0) for each in found.groups()[:5])
    whole = ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds
    microseconds = whole * SECOND + int((found[6] or "").ljust(6, "0")[:6])
    if microseconds > LONGEST:
        raise ValueError(f"{text[:80]!r} is longer than a hundred years")
    return microseconds


def moment(microseconds: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds_of(at: datetime) -> int:
    """The same the other way round."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant(microseconds: int) -> str:
    """The time as text, as expressions show it: 2026-01-31T10:00:00.250Z; no fraction if it is zero."""
    at = moment(microseconds).replace(tzinfo=None)
    fraction = "auto" if at.microsecond % 1000 else "milliseconds" if at.microsecond else "seconds"
    return at.isoformat(timespec=fraction) + "Z"
