"""The functions of expressions.

They have no effects and no clock: `now()` is the time of the event that is being worked off, and what is random comes
from a seed. What stands outside of the expression – secrets, keys, files, logs – is asked of the rendering's `outside`.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from taskrpc.core.flow.expressions.dates import format_date, read_date
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.operations import compare, numbers, operation
from taskrpc.core.flow.expressions.values import Absent, shown, text_of, whole

if TYPE_CHECKING:
    from taskrpc.core.flow.expressions.rendering import Rendering

OUTSIDE: Final = (
    "secret", "kv", "read", "fileURI", "isFileEmpty", "fileExists", "fileSize",
    "errorLogs", "currentEachOutput", "tasksWithState",
)  # fmt: skip


def _outside(name: str) -> None:
    @operation(f"{name}()", rendering=True)
    def ask(rendering: "Rendering", _: None, *values: Any, **named: Any) -> Any:
        return rendering.outside(name, values, named)


for _name in OUTSIDE:
    _outside(_name)


@operation("render()", rendering=True)
def _render(rendering: "Rendering", _: None, toRender: Any, recursive: Any = True) -> Any:
    """The text, or the texts in a list or map, rendered; with `recursive`, again until nothing changes."""
    if isinstance(toRender, Mapping):
        return {key: _render(rendering, None, each, recursive) for key, each in toRender.items()}
    if isinstance(toRender, list):
        return [_render(rendering, None, each, recursive) for each in toRender]
    text = toRender
    while isinstance(text, str) and "{" in text:
        rendered = rendering.nested(text)
        if rendered == text or not recursive:
            return rendered
        text = rendered
    return text


@operation("now()", rendering=True)
def _now(rendering: "Rendering", _: None, format: Any = None, timeZone: Any = None, **__: Any) -> str:
    return format_date(read_date(rendering.now, timeZone), text_of(format or "iso"))


def _digest(rendering: "Rendering") -> bytes:
    rendering.drawn += 1
    return hashlib.sha256(f"{rendering.seed}/{rendering.drawn}".encode()).digest()


@operation("uuid()", "id()", rendering=True)
def _uuid(rendering: "Rendering", _: None) -> str:
    return str(uuid.UUID(bytes=_digest(rendering)[:16], version=4))


@operation("randomInt()", rendering=True)
def _random_int(rendering: "Rendering", _: None, lower: Any, upper: Any) -> int:
    """A whole number from `lower` up to `upper`, which is not included."""
    first, end = whole(lower, "randomInt"), whole(upper, "randomInt")
    if end <= first:
        raise ExpressionError(f"randomInt needs a lower bound below the upper one, not {first} and {end}")
    return first + int.from_bytes(_digest(rendering)[:16], "big") % (end - first)


@operation("max()")
def _max(_: None, *values: Any) -> Any:
    return _extreme(values, 1, "max")


@operation("min()")
def _min(_: None, *values: Any) -> Any:
    return _extreme(values, -1, "min")


def _extreme(values: tuple[Any, ...], sign: int, name: str) -> Any:
    if not values:
        raise ExpressionError(f"{name} needs a value")
    best = values[0]
    for value in values[1:]:
        best = value if compare(value, best) * sign > 0 else best
    return best


@operation("range()")
def _range(_: None, start: Any, end: Any, increment: Any = 1) -> list[int]:
    return numbers(whole(start, "range"), whole(end, "range"), whole(increment, "range"))


@operation("fromJson()", "json()")
def _from_json(_: None, value: Any) -> Any:
    if value is None:
        return None
    try:
        return orjson.loads(text_of(value))
    except orjson.JSONDecodeError as error:
        raise ExpressionError(f"{shown(value)} is not JSON: {error}") from None


@operation("isBlank()", takes_absent=True)
def _is_blank(_: None, value: Any) -> bool:
    return value is None or isinstance(value, Absent) or not text_of(value).strip()


Outside = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]


def nothing_outside(name: str, _: tuple[Any, ...], __: dict[str, Any]) -> Any:
    """For expressions that are rendered without an execution around them."""
    raise ExpressionError(f"{name}() is not available here")
