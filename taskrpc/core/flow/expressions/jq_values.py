"""What jq's operators and functions do with values: comparison in jq's order, sums, the functions without a filter."""

from collections.abc import Callable
from typing import Any, Final

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.values import canonical_json, in_range, json_text, number_of

MOST_COMPARED: Final = 4096
_LONGEST: Final = 1_000_000


def wrong(problem: str) -> ExpressionError:
    """What is wrong with a jq program, as an error."""
    return ExpressionError(f"jq {problem}")


def at(whole: Any, step: Any) -> Any:
    """An entry of a map, an element of a list; null for what is not there."""
    if whole is None:
        return None
    if isinstance(whole, dict) and isinstance(step, str):
        return whole.get(step)
    if isinstance(whole, list) and isinstance(step, int):
        return whole[step] if -len(whole) <= step < len(whole) else None
    raise wrong(f"cannot look for {json_text(step)} in a {type_name(whole)}")


def compute(operator: str, left: Any, right: Any) -> Any:
    """What an operator makes of two values."""
    match operator:
        case "==" | "!=":
            return (order(left) == order(right)) == (operator == "==")
        case "<" | ">":
            return (order(left) < order(right)) if operator == "<" else (order(right) < order(left))
        case "<=" | ">=":
            return not compute(">" if operator == "<=" else "<", left, right)
        case "and":
            return holds(left) and holds(right)
        case "or":
            return holds(left) or holds(right)
        case "+":
            return _sum(left, right)
    return _arithmetic(operator, number_of(left, f"jq {operator}"), number_of(right, f"jq {operator}"))


def _sum(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return left if right is None else right
    if isinstance(left, dict) and isinstance(right, dict):
        return left | right
    if type(left) is type(right) and isinstance(left, str | list):
        if len(left) + len(right) > _LONGEST:
            raise wrong("makes a value that is too large")
        return left + right
    return in_range(number_of(left, "jq +") + number_of(right, "jq +"))


def _arithmetic(operator: str, left: int | float, right: int | float) -> int | float:
    if operator in "/%" and right == 0:
        raise wrong("divides by zero")
    match operator:
        case "-":
            result = left - right
        case "*":
            result = left * right
        case "/":
            result = left / right
        case _:
            result = int(left) % int(right) if int(right) else 0
    result = in_range(result)
    return int(result) if isinstance(result, float) and result.is_integer() else result


def holds(value: Any) -> bool:
    """Whether a value counts as true: all but null and false."""
    return value is not None and value is not False


def order(value: Any) -> Any:
    """What jq sorts by: null, false, true, numbers, text, lists, maps."""
    if isinstance(value, list | dict):
        if len(text := canonical_json(value)) > MOST_COMPARED:
            raise wrong(f"compares lists and maps of at most {MOST_COMPARED} characters")
        return (3 if isinstance(value, list) else 4, text)
    match value:
        case None | bool():
            return (0, 0 if value is None else 1 + value)
        case int() | float():
            return (1, value)
    return (2, value)


def type_name(value: Any) -> str:
    """The name that jq has for the type of a value."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def checked(name: str, function: Callable[[Any], Any], value: Any) -> Any:
    """The function's answer; raises ExpressionError if it is given what it cannot use."""
    try:
        return function(value)
    except (TypeError, ValueError, AttributeError, KeyError):
        raise wrong(f"{name} cannot be used on a {type_name(value)}") from None


def _add(values: Any) -> Any:
    total = None
    for value in values:
        total = _sum(total, value)
    return total


def _unique(values: list[Any]) -> list[Any]:
    return list({json_text(each): each for each in sorted(values, key=order)}.values())


def _length(value: Any) -> int:
    return 0 if value is None else len(value)


def _keys(value: Any) -> list[Any]:
    return sorted(value) if isinstance(value, dict) else list(range(len(value)))


SIMPLE: Final[dict[str, Callable[[Any], Any]]] = {
    "length": _length,
    "keys": _keys,
    "add": _add,
    "not": lambda value: not holds(value),
    "type": type_name,
    "tostring": lambda value: value if isinstance(value, str) else json_text(value),
    "tonumber": lambda value: float(value) if "." in str(value) else int(value),
    "tojson": json_text,
    "ascii_downcase": lambda value: value.lower(),
    "ascii_upcase": lambda value: value.upper(),
    "first": lambda value: at(value, 0),
    "last": lambda value: at(value, -1),
    "reverse": lambda value: value[::-1],
    "sort": lambda value: sorted(value, key=order),
    "unique": _unique,
    "min": lambda value: min(value, key=order, default=None),
    "max": lambda value: max(value, key=order, default=None),
    "any": lambda value: any(holds(each) for each in value),
    "all": lambda value: all(holds(each) for each in value),
    "flatten": lambda value: [one for each in value for one in (each if isinstance(each, list) else [each])],
    "to_entries": lambda value: [{"key": key, "value": each} for key, each in value.items()],
    "from_entries": lambda value: {str(each["key"]): each.get("value") for each in value},
}
