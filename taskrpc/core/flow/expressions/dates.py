"""Dates in expressions, with the patterns of Java: `now`, `date`, `dateAdd`, `timestamp`."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from taskrpc.core.flow.durations import microseconds_of
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.operations import operation
from taskrpc.core.flow.expressions.values import shown, text_of, whole

_SECONDS: Final = {
    "NANOS": 1e-9, "MICROS": 1e-6, "MILLIS": 1e-3, "SECONDS": 1, "MINUTES": 60, "HOURS": 3600, "HALF_DAYS": 43_200,
    "DAYS": 86_400, "WEEKS": 604_800,
}  # fmt: skip
_MONTHS: Final = {"MONTHS": 1, "YEARS": 12, "DECADES": 120}
_LETTERS: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'")
_STYLES: Final = {
    "iso": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "iso_milli": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "iso_sec": "yyyy-MM-dd'T'HH:mm:ssXXX", "iso_zoned_date_time": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "iso_date": "yyyy-MM-dd", "iso_local_date": "yyyy-MM-dd", "sql": "yyyy-MM-dd HH:mm:ss.SSSSSS",
    "sql_milli": "yyyy-MM-dd HH:mm:ss.SSS", "sql_seq": "yyyy-MM-dd HH:mm:ss",
}  # fmt: skip


def read_date(value: Any, time_zone: Any = None, pattern: Any = None) -> datetime:
    """The date that a text or a number (seconds since 1970) means, in the zone; raises ExpressionError."""
    zone = _zone(time_zone)
    if isinstance(value, datetime):
        return value.astimezone(zone)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).astimezone(zone)
        if pattern is not None:
            found = _parsed(text_of(value), text_of(pattern))
        else:
            found = datetime.fromisoformat(text_of(value).strip().partition("[")[0])
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        raise ExpressionError(f"{shown(value)} is not a date") from None


def _zone(name: Any) -> Any:
    if name is None:
        return UTC
    try:
        return ZoneInfo(text_of(name))
    except (KeyError, OSError, ValueError):
        raise ExpressionError(f"{shown(name)} is not a time zone, such as Europe/Paris") from None


@operation("|date")
def _date(value: Any, format: Any = None, timeZone: Any = None, existingFormat: Any = None, locale: Any = None) -> Any:
    if value is None:
        return None
    at = read_date(value, timeZone, existingFormat)
    return format_date(at, text_of(format or "iso"))


@operation("|dateAdd", "dateAdd()")
def _date_add(*given: Any, format: Any = None, timeZone: Any = None) -> str | None:
    value, amount, unit = given[-3:]
    if value is None:
        return None
    return format_date(_moved(read_date(value, timeZone), whole(amount, "dateAdd"), unit), text_of(format or "iso"))


def _moved(at: datetime, amount: int, unit: Any) -> datetime:
    try:
        if unit in _SECONDS:
            return at + timedelta(seconds=amount * _SECONDS[unit])
        if unit in _MONTHS:
            return _months_later(at, amount * _MONTHS[unit])
    except (OverflowError, ValueError):
        raise ExpressionError(f"dateAdd goes too far: {amount} {unit}") from None
    raise ExpressionError(f"dateAdd knows {', '.join((*_SECONDS, *_MONTHS))}, not {shown(unit)}")


def _months_later(at: datetime, months: int) -> datetime:
    years, month = divmod(at.month - 1 + months, 12)
    first = at.replace(year=at.year + years, month=month + 1, day=1)
    after = first.replace(year=first.year + month // 11, month=month % 11 + 1 if month < 11 else 1)
    if month < 11:
        after = first.replace(month=month + 2)
    last_day = (after - timedelta(days=1)).day
    return first.replace(day=min(at.day, last_day))


@operation("|timestamp")
def _timestamp(value: Any, existingFormat: Any = None, timeZone: Any = None) -> int:
    return int(read_date(value, timeZone, existingFormat).timestamp())


@operation("|timestampMilli")
def _timestamp_milli(value: Any, existingFormat: Any = None, timeZone: Any = None) -> int:
    return int(read_date(value, timeZone, existingFormat).timestamp() * 1000)


@operation("|timestampMicro")
def _timestamp_micro(value: Any, existingFormat: Any = None, timeZone: Any = None) -> int:
    return microseconds_of(read_date(value, timeZone, existingFormat))


@operation("|timestampNano")
def _timestamp_nano(value: Any, existingFormat: Any = None, timeZone: Any = None) -> int:
    return 1000 * int(_timestamp_micro(value, existingFormat, timeZone))


def format_date(at: datetime, pattern: str) -> str:
    """The date in a pattern of Java's DateTimeFormatter, or in one of the named styles."""
    pieces = _LETTERS.finditer(_STYLES.get(pattern, pattern))
    return "".join(_piece(at, found) for found in pieces)


def _piece(at: datetime, found: "re.Match[str]") -> str:
    text, letter = found[0], found[2]
    if letter is None:
        return "'" if text == "''" else text[1:-1].replace("''", "'") if text[0] == "'" and len(text) > 1 else text
    width = len(text)
    if letter in "yu":
        return f"{at.year % 100:02d}" if width == 2 else f"{at.year:0{width}d}"
    if letter in "ML" and width > 2:
        return at.strftime("%B" if width == 4 else "%b")
    if letter == "E":
        return at.strftime("%A" if width == 4 else "%a")
    if letter == "S":
        return f"{at.microsecond:06d}".ljust(9, "0")[:width]
    if letter in "XxZ":
        return _offset(at, letter, width)
    if letter in _FIELDS:
        return f"{_FIELDS[letter](at):0{min(width, 9)}d}"
    if letter in _WORDS:
        return str(_WORDS[letter](at))
    raise ExpressionError(f"date does not know the letter {letter!r} in a pattern")


_FIELDS: Final[dict[str, Any]] = {
    "M": lambda at: at.month, "L": lambda at: at.month, "d": lambda at: at.day, "D": lambda at: at.timetuple().tm_yday,
    "H": lambda at: at.hour, "h": lambda at: at.hour % 12 or 12, "k": lambda at: at.hour or 24,
    "K": lambda at: at.hour % 12,
    "m": lambda at: at.minute, "s": lambda at: at.second, "n": lambda at: at.microsecond * 1000,
    "Q": lambda at: (at.month + 2) // 3, "q": lambda at: (at.month + 2) // 3, "w": lambda at: at.isocalendar().week,
    "e": lambda at: at.isoweekday(),
}  # fmt: skip
_WORDS: Final[dict[str, Any]] = {
    "a": lambda at: "AM" if at.hour < 12 else "PM", "G": lambda at: "AD", "z": lambda at: at.tzname(),
    "V": lambda at: getattr(at.tzinfo, "key", "Z"),
}  # fmt: skip


def _offset(at: datetime, letter: str, width: int) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds() // 60)
    if letter == "X" and minutes == 0:
        return "Z"
    colon = ":" if width in (3, 5) and letter != "Z" else ""
    rest = f"{colon}{abs(minutes) % 60:02d}" if width > 1 or letter == "Z" or minutes % 60 else ""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{rest}"


_PARSED: Final = {
    "y": ("%y", "%Y"), "u": ("%y", "%Y"), "M": ("%m", "%m"), "d": ("%d", "%d"), "H": ("%H", "%H"), "h": ("%I", "%I"),
    "m": ("%M", "%M"), "s": ("%S", "%S"), "a": ("%p", "%p"), "X": ("%z", "%z"), "x": ("%z", "%z"), "Z": ("%z", "%z"),
    "S": ("%f", "%f"),
}  # fmt: skip


def _parsed(text: str, pattern: str) -> datetime:
    if pattern == "rfc_1123_date_time":
        return parsedate_to_datetime(text)
    return datetime.strptime(
        text, "".join(_directive(found) for found in _LETTERS.finditer(_STYLES.get(pattern, pattern)))
    )


def _directive(found: "re.Match[str]") -> str:
    text, letter = found[0], found[2]
    if letter is None:
        return text.strip("'").replace("%", "%%")
    if letter == "M" and len(text) > 2:
        return "%B" if len(text) == 4 else "%b"
    if letter not in _PARSED:
        raise ExpressionError(f"date does not know the letter {letter!r} in a pattern to read")
    return _PARSED[letter][0 if len(text) == 2 else 1]
