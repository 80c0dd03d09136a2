"""The values of expressions: what is absent, what counts as true, how a value becomes text."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from jinja2 import StrictUndefined

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.syntax import PREFIX

_LARGEST_INTEGER: Final = 2**63 - 1
MOST_NODES: Final = 200_000


class Absent(StrictUndefined):
    """What is not there: it passes through every operation, and is an error where a value is needed.

    `path` is the first step that does not exist, or None for another reason, that `problem` tells.
    """

    __slots__ = ("problem",)

    def __init__(self, hint: str | None = None, obj: object = None, name: str | None = None, **_: Any) -> None:
        super().__init__(hint=hint, name=name)
        self.problem = hint or f"Unable to find `{(name or '').removeprefix(PREFIX)}`"

    def error(self) -> ExpressionError:
        """The error that it is to need this value."""
        return ExpressionError(self.problem)


def is_true(value: object) -> bool:
    """Whether a value counts as true within an expression: null, false, 0, "" and what is empty do not."""
    if isinstance(value, Absent):
        raise value.error()
    return bool(value)


def is_truthy_text(text: str) -> bool:
    """Whether a rendered condition holds: "", "0", "-0" and "false" do not (trimmed), all else does."""
    return text.strip() not in ("", "0", "-0", "false")


class _Copying:
    """A copy of a value that ends where it is too large: lists that hold one list twice need little room for much."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def copy(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ExpressionError(f"a value has more than {MOST_NODES} parts")
        match value:
            case Absent():
                raise value.error()
            case Mapping():
                return {str(key): self.copy(each) for key, each in value.items()}
            case list():
                return [self.copy(each) for each in value]
        return value


def plain(value: Any) -> Any:
    """The value in JSON's data model, with what is lazy read; raises ExpressionError if absent or too large."""
    if value is None or isinstance(value, str | int | float):
        return value
    return _Copying().copy(value)


def json_text(value: object) -> str:
    """Compact JSON."""
    return orjson.dumps(plain(value)).decode()


def canonical_json(value: object) -> str:
    """Compact JSON with the keys in order: equal for equal values."""
    return orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS).decode()


def text_of(value: object) -> str:
    """A value as text: nothing for null, `true` and `false`, JSON for maps and lists."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
    return json_text(value)


def only_text(value: object, what: str) -> str:
    """A value that is text; raises ExpressionError for others."""
    if not isinstance(value, str):
        raise ExpressionError(f"{what} needs text, not {shown(value)}")
    return value


def number_of(value: object, what: str) -> int | float:
    """The value, if it is a number; raises ExpressionError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"{what} needs a number, not {shown(value)}")
    return value


def whole(value: object, what: str) -> int:
    """The value, if it is an integer; raises ExpressionError."""
    number = number_of(value, what)
    if not isinstance(number, int):
        raise ExpressionError(f"{what} needs a whole number, not {shown(value)}")
    return number


def in_range(value: int | float) -> int | float:
    """The number; raises ExpressionError for integers beyond 64 bits and for floats that are none."""
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ExpressionError("makes a number beyond 64 bits")
    elif value - value != 0:
        raise ExpressionError("makes a number that is not finite")
    return value


def shown(value: object) -> str:
    """A value for a message, shortened."""
    text = f'"{value}"' if isinstance(value, str) else text_of(value) or "null"
    return text if len(text) <= 60 else text[:56] + " …"
