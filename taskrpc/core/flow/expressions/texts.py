"""The filters for text."""

import base64
import hashlib
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.operations import operation
from taskrpc.core.flow.expressions.values import only_text, shown, text_of, whole
from taskrpc.core.flow.patterns import compiled

_MOST_PADDING: Final = 10_000


def _pattern(pattern: str) -> Any:
    try:
        return compiled(pattern)
    except ValueError as error:
        raise ExpressionError(f"{shown(pattern)} is not a regular expression: {error}") from None


@operation("matches")
def _matches(value: Any, pattern: Any) -> bool:
    """Whether a regular expression matches all of a text."""
    return _pattern(only_text(pattern, "matches")).fullmatch(text_of(value)) is not None


@operation("|lower")
def _lower(value: Any) -> str | None:
    return None if value is None else text_of(value).lower()


@operation("|upper")
def _upper(value: Any) -> str | None:
    return None if value is None else text_of(value).upper()


@operation("|capitalize")
def _capitalize(value: Any) -> str:
    text = text_of(value)
    return text[:1].upper() + text[1:]


@operation("|title")
def _title(value: Any) -> str:
    return re.sub(r"(?:^|(?<=\s))\S", lambda first: first[0].upper(), text_of(value))


@operation("|trim")
def _trim(value: Any) -> str:
    return text_of(value).strip()


@operation("|abbreviate")
def _abbreviate(value: Any, length: Any) -> str:
    text = text_of(value)
    return text if len(text) <= whole(length, "abbreviate") else text[: max(length - 3, 0)] + "..."[:length]


@operation("|replace")
def _replace(value: Any, replace_pairs: Any, regexp: Any = False) -> str:
    """Replaces each key of a map by its value."""
    text = text_of(value)
    if not isinstance(replace_pairs, Mapping):
        raise ExpressionError("replace needs a map of what to replace: replace({'a': 'b'})")
    for old, new in replace_pairs.items():
        text = _pattern(old).sub(_groups(text_of(new)), text) if regexp else text.replace(old, text_of(new))
        if len(text) > 4_000_000:
            raise ExpressionError("replace makes more than 4000000 characters")
    return text


def _groups(replacement: str) -> Callable[[Any], str]:
    """What replaces a match: `$1` is its first group, a backslash takes the next character as it is."""
    parts = re.findall(r"\\(.)|\$(\d)|([^\\$]+|.)", replacement, re.S)

    def filled(match: Any) -> str:
        try:
            return "".join((match[int(group)] or "") if group else taken or text for taken, group, text in parts)
        except IndexError:
            raise ExpressionError(f"{shown(replacement)} names a group that there is not") from None

    return filled


@operation("|substringBefore")
def _substring_before(value: Any, separator: Any) -> str:
    return text_of(value).split(only_text(separator, "substringBefore"), 1)[0]


@operation("|substringBeforeLast")
def _substring_before_last(value: Any, separator: Any) -> str:
    return text_of(value).rsplit(only_text(separator, "substringBeforeLast"), 1)[0]


@operation("|substringAfter")
def _substring_after(value: Any, separator: Any) -> str:
    return text_of(value).partition(only_text(separator, "substringAfter"))[2]


@operation("|substringAfterLast")
def _substring_after_last(value: Any, separator: Any) -> str:
    _, found, tail = text_of(value).rpartition(only_text(separator, "substringAfterLast"))
    return tail if found else ""


@operation("|split")
def _split(value: Any, delimiter: Any, limit: Any = 0) -> list[str]:
    """The parts of a text between what a regular expression matches; without trailing empty ones."""
    most = whole(limit, "split")
    parts = list(
        _pattern(only_text(delimiter, "split")).split(text_of(value), maxsplit=max(most - 1, 0) if most > 0 else 0)
    )
    while most == 0 and parts and parts[-1] == "":
        parts.pop()
    return [part or "" for part in parts]


@operation("|slugify")
def _slugify(value: Any) -> str:
    ascii_only = unicodedata.normalize("NFKD", text_of(value)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


@operation("|indent")
def _indent(value: Any, amount: Any, prefix: Any = " ") -> str:
    space = text_of(prefix)[:1] * _padding(amount, "indent")
    return re.sub(r"\r\n|\n|\r", lambda end: end[0] + space, text_of(value))


@operation("|nindent")
def _nindent(value: Any, amount: Any, prefix: Any = " ") -> str:
    space = text_of(prefix)[:1] * _padding(amount, "nindent")
    return "\n" + space + re.sub(r"\r\n|\n|\r", lambda end: end[0] + space, text_of(value))


def _padding(amount: Any, what: str) -> int:
    width = whole(amount, what)
    if not 0 <= width <= _MOST_PADDING:
        raise ExpressionError(f"{what} needs a width from 0 to {_MOST_PADDING}, not {width}")
    return width


_ESCAPES: Final = {"single": ("'", "\\'"), "double": ('"', '\\"'), "shell": ("'", "'\\''")}


@operation("|escapeChar")
def _escape_char(value: Any, type: Any) -> str:
    if type not in _ESCAPES:
        raise ExpressionError(f"escapeChar knows {', '.join(_ESCAPES)}, not {shown(type)}")
    return text_of(value).replace(*_ESCAPES[type])


@operation("|startsWith")
def _starts_with(value: Any, start: Any) -> bool:
    return text_of(value).startswith(text_of(start))


@operation("|endsWith")
def _ends_with(value: Any, end: Any) -> bool:
    return text_of(value).endswith(text_of(end))


@operation("|urlencode")
def _urlencode(value: Any) -> str:
    return urllib.parse.quote_plus(text_of(value))


@operation("|urldecode")
def _urldecode(value: Any) -> str:
    return urllib.parse.unquote_plus(text_of(value))


@operation("|base64encode")
def _base64encode(value: Any) -> str:
    return base64.b64encode(text_of(value).encode()).decode()


@operation("|base64decode")
def _base64decode(value: Any) -> str:
    try:
        return base64.b64decode(text_of(value), validate=True).decode()
    except ValueError:
        raise ExpressionError(f"{shown(value)} is not text in base64") from None


def _digest(name: str) -> None:
    @operation(f"|{name}")
    def digest(value: Any) -> str:
        return hashlib.new(name, text_of(value).encode(), usedforsecurity=False).hexdigest()


for _name in ("md5", "sha1", "sha256", "sha512"):
    _digest(_name)
