"""What operators do: arithmetic, comparison, attributes, loops, as Pebble does them.

`OPERATIONS` has them by the names that `syntax` gives them; filters, tests and functions join in their own modules.
Each is called with Jinja2's context first, is charged to the budget, and hands on what is absent unless it asks for it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context

from taskrpc.core.flow.expressions.budget import Budget
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.values import Absent, canonical_json, in_range, is_true, number_of, shown, text_of

Operation = Callable[..., Any]
OPERATIONS: Final[dict[str, Operation]] = {}
RENDERING: Final = "#rendering"


def operation(*names: str, takes_absent: bool = False, rendering: bool = False) -> Callable[[Operation], Operation]:
    """Makes a function an operation: charged, and passing what is absent through; the result is charged too.

    With `rendering` the function gets the rendering that it is a part of, first.
    """

    def register(function: Operation) -> Operation:
        @pass_context
        @wraps(function)
        def charged(context: Context, *values: Any, **named: Any) -> Any:
            whole = context[RENDERING]
            budget: Budget = whole.budget
            budget.step(values)
            if not takes_absent:
                for value in (*values, *named.values()):
                    if isinstance(value, Absent):
                        return value
            try:
                result = function(whole, *values, **named) if rendering else function(*values, **named)
            except TypeError as error:
                raise ExpressionError(_wrong_call(names[0], error)) from None
            budget.made(result)
            return result

        for name in names:
            OPERATIONS[name] = charged
        return function

    return register


def _wrong_call(name: str, error: TypeError) -> str:
    reason = str(error).partition("() ")[2] or "it is given a value of the wrong type"
    return f"{name.strip('|').removesuffix('()')} cannot be used so: {reason}"


@operation("truthy", takes_absent=True)
def _truthy(value: Any) -> bool:
    return is_true(value)


@operation("print", takes_absent=True)
def _print(value: Any) -> str:
    return text_of(value)


@operation("coalesce", takes_absent=True)
def _coalesce(value: Any, other: Any) -> Any:
    return other if value is None or isinstance(value, Absent) else value


@operation("coalesce_absent", takes_absent=True)
def _coalesce_absent(value: Any, other: Any) -> Any:
    return other if isinstance(value, Absent) else value


@operation("list")
def _list(_: None, *values: Any) -> list[Any]:
    return list(values)


@operation("map")
def _map(_: None, *entries: Any) -> dict[str, Any]:
    return {text_of(key): value for key, value in zip(entries[::2], entries[1::2], strict=True)}


@operation("get")
def _get(value: Any, key: Any) -> Any:
    """An entry of a map, an element of a list; what is not there is absent."""
    if isinstance(value, Mapping):
        found = value.get(text_of(key), OPERATIONS)
        if found is not OPERATIONS:
            return found
    elif isinstance(value, list) and isinstance(key, int | str):
        position = _position(key)
        if position is not None and 0 <= position < len(value):
            return value[position]
    return Absent(hint=f"Unable to find `{text_of(key)}`")


def _position(key: int | str) -> int | None:
    if isinstance(key, str):
        return int(key) if key.isdecimal() and len(key) < 10 else None
    return key


@operation("add")
def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return text_of(left) + text_of(right)
    if isinstance(left, list):
        return left + (right if isinstance(right, list) else [right])
    return in_range(number_of(left, "+") + number_of(right, "+"))


@operation("sub", rendering=True)
def _sub(rendering: Any, left: Any, right: Any) -> Any:
    if isinstance(left, list):
        gone = right if isinstance(right, list) else [right]
        return [each for each in left if not _is_among(rendering, each, gone)]
    return in_range(number_of(left, "-") - number_of(right, "-"))


@operation("mul")
def _mul(left: Any, right: Any) -> Any:
    return in_range(number_of(left, "*") * number_of(right, "*"))


@operation("div")
def _div(left: Any, right: Any) -> Any:
    above, below = number_of(left, "/"), number_of(right, "/")
    if below == 0:
        raise ExpressionError("divides by zero")
    if isinstance(above, int) and isinstance(below, int):
        return in_range(_towards_zero(above, below))
    return in_range(above / below)


def _towards_zero(above: int, below: int) -> int:
    quotient = abs(above) // abs(below)
    return quotient if (above < 0) == (below < 0) else -quotient


@operation("mod")
def _mod(left: Any, right: Any) -> Any:
    above, below = number_of(left, "%"), number_of(right, "%")
    if below == 0:
        raise ExpressionError("divides by zero")
    rest = abs(above) % abs(below)
    return rest if above >= 0 else -rest


@operation("negative")
def _negative(value: Any) -> Any:
    return in_range(-number_of(value, "-"))


@operation("positive")
def _positive(value: Any) -> Any:
    return number_of(value, "+")


@operation("tilde")
def _tilde(left: Any, right: Any) -> str:
    return text_of(left) + text_of(right)


@operation("dots")
def _dots(first: Any, last: Any) -> list[Any]:
    if isinstance(first, int) and isinstance(last, int):
        return numbers(first, last, 1)
    if isinstance(first, str) and isinstance(last, str) and len(first) == len(last) == 1:
        return [chr(code) for code in numbers(ord(first), ord(last), 1)]
    raise ExpressionError(
        f"a range goes from a number or a letter to another, not from {shown(first)} to {shown(last)}"
    )


def numbers(first: int, last: int, step: int) -> list[int]:
    """The numbers from first to last, both included; counts down if last is less."""
    if step <= 0:
        raise ExpressionError(f"a range has steps of 1 or more, not {step}")
    if abs(last - first) // step > 100_000:
        raise ExpressionError("a range has at most 100000 values")
    return list(range(first, last + 1, step) if first <= last else range(first, last - 1, -step))


@operation("eq", "equals", rendering=True)
def equal(rendering: Any, left: Any, right: Any) -> bool:
    """Numbers by their value; true is not 1."""
    if isinstance(left, list | Mapping) and isinstance(right, list | Mapping):
        texts = canonical_json(left), canonical_json(right)
        rendering.budget.room(len(texts[0]) + len(texts[1]))
        return texts[0] == texts[1]
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


@operation("ne", rendering=True)
def _ne(rendering: Any, left: Any, right: Any) -> bool:
    return not equal(rendering, left, right)


def _is_among(rendering: Any, value: Any, values: list[Any]) -> bool:
    rendering.budget.step((values,))
    return any(equal(rendering, value, each) for each in values)


@operation("gt")
def _gt(left: Any, right: Any) -> bool:
    return compare(left, right) > 0


@operation("gteq")
def _gteq(left: Any, right: Any) -> bool:
    return compare(left, right) >= 0


@operation("lt")
def _lt(left: Any, right: Any) -> bool:
    return compare(left, right) < 0


@operation("lteq")
def _lteq(left: Any, right: Any) -> bool:
    return compare(left, right) <= 0


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1 for two numbers or two texts; raises ExpressionError for others."""
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = number_of(left, "a comparison"), number_of(right, "a comparison")
    return int(left > right) - int(left < right)


@operation("contains", rendering=True)
def _contains(rendering: Any, whole: Any, part: Any) -> bool:
    if whole is None:
        return False
    if isinstance(whole, str | Mapping):
        return bool(text_of(part) in whole)
    if isinstance(whole, list):
        return all(_is_among(rendering, each, whole) for each in (part if isinstance(part, list) else [part]))
    raise ExpressionError(f"contains needs text, a list or a map, not {shown(whole)}")


@operation("isIn", rendering=True)
def _is_in(rendering: Any, part: Any, whole: Any) -> Any:
    if isinstance(whole, Mapping):
        return text_of(part) in whole or _is_among(rendering, part, list(whole.values()))
    return _contains(rendering, whole, part)


def _loop(index: int, length: int) -> dict[str, Any]:
    ends = {"first": index == 0, "last": index == length - 1}
    return {"index": index, "length": length, "revindex": length - index - 1, **ends}


@pass_context
def _iterate(context: Context, values: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The turns of a loop, each charged. A map's are its entries, with `key` and `value`."""
    if isinstance(values, Absent):
        raise values.error()
    if values is None:
        return
    if isinstance(values, Mapping):
        values = [{"key": key, "value": value} for key, value in values.items()]
    if not isinstance(values, list):
        raise ExpressionError(f"for needs a list or a map, not {shown(values)}")
    for index, value in enumerate(values):
        context[RENDERING].budget.step((value,))
        yield value, _loop(index, len(values))


OPERATIONS["iterate"] = _iterate
