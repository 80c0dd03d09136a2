"""Times on the wire: RFC 3339 in UTC with microseconds and `Z`."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import orjson

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)

# Before 1900 lie only clients' empty values. The last second that datetime knows is the latest: asyncpg by itself takes
# the last microsecond for infinity.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

# Rows that a statement changed have the same times, which are written again with every answer.
_MOST_KEPT: Final = 4096


def format_time(at: datetime) -> str:
    """`2023-05-04T16:33:14.682354Z`; `at` is aware."""
    return _in_utc(at if at.tzinfo is UTC else at.astimezone(UTC))


@lru_cache(_MOST_KEPT)
def _in_utc(at: datetime) -> str:
    if not at.microsecond:  # which orjson leaves out then
        return f"{at.isoformat(timespec='microseconds')[:-6]}Z"
    return orjson.dumps(at, option=orjson.OPT_UTC_Z)[1:-1].decode()  # a quarter of what isoformat takes


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, aware and in UTC; without a zone it is taken as UTC, without a time as midnight.

    Raises ValueError with a sentence for dates that do not exist, for years before 1900, and for other forms.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is not a time like 2023-05-04T15:30:43Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")[:6]), tzinfo=_zone(zone),
        )  # fmt: skip
        at = local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:80]!r} does not exist: {error}") from None
    if not _EARLIEST <= at <= _LATEST:
        raise ValueError(
            f"{text[:80]!r} is too far away; use a time from {_EARLIEST:%Y-%m-%d} to {_LATEST:%Y-%m-%dT%H:%M:%SZ}"
        )
    return at
