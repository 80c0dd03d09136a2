"""The filters for numbers and any value, and the tests; `texts`, `collections` and `dates` have more filters."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.operations import equal, operation
from taskrpc.core.flow.expressions.values import (
    Absent,
    in_range,
    json_text,
    number_of,
    only_text,
    shown,
    text_of,
    whole,
)

# -- any value


@operation("|default", takes_absent=True)
def _default(value: Any, default: Any) -> Any:
    return default if isinstance(value, Absent) or value is None or value == "" else value


@operation("|json", "|toJson", "toJson()")
def _to_json(*values: Any) -> str:
    return json_text(values[-1])


@operation("|string")
def _string(value: Any) -> str:
    return text_of(value)


@operation("|number")
def number(value: Any, type: Any = None) -> Any:
    """The number that a text is; `type` is INT, LONG, FLOAT, DOUBLE, BIGINTEGER or BIGDECIMAL."""
    wanted = str(type or "").upper()
    text = text_of(value).strip()
    try:
        if wanted in ("INT", "LONG", "BIGINTEGER") or (not wanted and re.fullmatch(r"[+-]?\d{1,19}", text)):
            return in_range(int(text[:40]))
        return in_range(float(text[:400]))
    except ValueError:
        raise ExpressionError(f"{shown(value)} is not a number") from None


@operation("|className")
def _class_name(value: Any) -> str:
    return {dict: "map", list: "list", str: "string", bool: "boolean"}.get(type(value), "number")


# -- numbers


@operation("|abs")
def _abs(value: Any) -> Any:
    return abs(number_of(value, "abs"))


@operation("|round")
def _round(value: Any, precision: Any = 0) -> Any:
    digits = whole(precision, "round")
    return round(number_of(value, "round"), digits) if digits else round(number_of(value, "round"))


@operation("|numberFormat", "|numberformat")
def _number_format(value: Any, format: Any = None) -> str:
    number = number_of(value, "numberFormat")
    fraction = re.fullmatch(r"([#,0]*)(?:\.([0#]*))?", only_text(format or "#,##0.###", "numberFormat"))
    if fraction is None or len(fraction[2] or "") > 20:
        raise ExpressionError(f"numberFormat knows 0, #, the comma and the dot, not {shown(format)}")
    places = fraction[2] or ""
    text = f"{number:{',' if ',' in fraction[1] else ''}.{len(places)}f}"
    if "." in text:
        least = len(text) - places.count("#")
        text = text[:least] + text[least:].rstrip("0")
    return text.rstrip(".")


# -- tests


@operation("is defined", takes_absent=True)
def _is_defined(value: Any) -> bool:
    return value is not None and not isinstance(value, Absent)


@operation("is null")
def _is_null(value: Any) -> bool:
    return value is None


@operation("is empty")
def _is_empty(value: Any) -> bool:
    return len(value) == 0 if isinstance(value, list | Mapping) else text_of(value).strip() == ""


@operation("is even")
def _is_even(value: Any) -> bool:
    return bool(whole(value, "is even") % 2 == 0)


@operation("is odd")
def _is_odd(value: Any) -> bool:
    return whole(value, "is odd") % 2 == 1


@operation("is iterable")
def _is_iterable(value: Any) -> bool:
    return isinstance(value, list | Mapping)


@operation("is map")
def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


@operation("is equalTo", rendering=True)
def _is_equal_to(rendering: Any, value: Any, other: Any) -> Any:
    return equal(rendering, value, other)


@operation("is json")
def _is_json(value: Any) -> bool:
    """Whether a text is a JSON object or list."""
    if not isinstance(value, str):
        return False
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True
