"""The values of inputs: read by their types, checked by their rules, filled in by their defaults."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import orjson

from taskrpc.core.definition import shown
from taskrpc.core.flow.documents import problem_of
from taskrpc.core.flow.durations import parse_duration
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.expressions.values import is_truthy_text
from taskrpc.core.flow.expressions.yaml_texts import read_yaml
from taskrpc.core.flow.model import Input
from taskrpc.core.flow.patterns import compiled

_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


class InvalidInputError(Exception):
    """Inputs that do not fit; `mistakes` has (input, what is wrong) of each."""

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"input {id}: {problem}" if id else problem for id, problem in mistakes))
        self.mistakes = tuple(mistakes)


def resolve_inputs(
    declared: Sequence[Input], given: Mapping[str, Any], rendering: Callable[[Mapping[str, Any]], Rendering]
) -> dict[str, Any]:
    """The values of all declared inputs; what is given besides is left out.

    `rendering` makes a rendering in which `inputs` are the values so far, for defaults and conditions. Raises
    InvalidInputError with every mistake.
    """
    values: dict[str, Any] = {}
    mistakes = [(id.replace("\0", "?"), wrong) for id, each in given.items() if (wrong := problem_of({id: each}))]
    if mistakes:
        raise InvalidInputError(mistakes)
    for each in declared:
        try:
            if _applies(each, values, rendering):
                values[each.id] = _value(each, given, values, rendering)
        except (ExpressionError, InvalidInputError) as error:
            mistakes.append((each.id, str(error)))
    if mistakes:
        raise InvalidInputError(mistakes)
    return values


def _applies(declared: Input, values: Mapping[str, Any], rendering: Callable[[Mapping[str, Any]], Rendering]) -> bool:
    rule = declared.rules.get("dependsOn", {})
    needed = rule.get("inputs", [])
    if any(values.get(name) is None for name in ([needed] if isinstance(needed, str) else needed)):
        return False
    return "condition" not in rule or is_truthy_text(rendering(values).text(rule["condition"]))


def _value(
    declared: Input,
    given: Mapping[str, Any],
    values: Mapping[str, Any],
    rendering: Callable[[Mapping[str, Any]], Rendering],
) -> Any:
    value = given.get(declared.id)
    if value is None:
        value = declared.defaults
        if value is not None:
            value = rendering(values).document(value)
    rules = dict(declared.rules)
    if "expression" in rules:
        rules["values"] = rendering(values).text(rules["expression"])
    if value is None and rules.get("autoSelectFirst"):
        value = _first_choice(rules)
    if value is None:
        if declared.required:
            raise InvalidInputError([("", "is required; give a value for it")])
        return None
    return read_value(declared.type, value, rules if declared.required else {**rules, "optional": True})


def _first_choice(rules: Mapping[str, Any]) -> str | None:
    try:
        return next(iter(_choices(rules)), None)
    except ValueError as error:
        raise InvalidInputError([("", f"its choices cannot be read: {error}")]) from None


def read_value(type: str, value: Any, rules: Mapping[str, Any]) -> Any:
    """The value as its type has it; null stays null. Raises InvalidInputError with what is wrong."""
    if value is None:
        return None
    try:
        found = _READ[type](value, rules)
    except (ValueError, OverflowError) as error:
        message = str(error) if isinstance(error, _Wrong) else f"{shown(value)} is not {_ARTICLES.get(type, type)}"
        raise InvalidInputError([("", message)]) from None
    if (problem := problem_of(found)) is not None:
        raise InvalidInputError([("", problem)])
    return found


class _Wrong(ValueError):
    """A sentence about what is wrong."""


def _text(value: Any, rules: Mapping[str, Any]) -> str:
    match value:
        case str():
            text = value
        case bool():
            text = str(value).lower()
        case int() | float():
            text = str(value)
        case _:
            text = orjson.dumps(value).decode()
    pattern = rules.get("validator")
    if pattern is not None:
        try:
            fits = compiled(pattern).fullmatch(text)
        except ValueError as error:
            raise _Wrong(f"its validator {shown(pattern)} is no regular expression: {error}") from None
        if not fits:
            raise _Wrong(f"{shown(text)} does not match {shown(pattern)}")
    return text


def _form(pattern: "re.Pattern[str]") -> Callable[[Any, Mapping[str, Any]], str]:
    def read(value: Any, _: Mapping[str, Any]) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError
        return value

    return read


def _number(read: Callable[[Any], Any]) -> Callable[[Any, Mapping[str, Any]], Any]:
    def number(value: Any, rules: Mapping[str, Any]) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 40:
            raise ValueError
        found = read(value)
        if found - found != 0 or (read is int and isinstance(value, float) and value != found):
            raise ValueError
        return _bounded(found, rules, read)

    return number


def _bounded(
    found: Any, rules: Mapping[str, Any], read: Callable[[Any], Any], names: Sequence[str] = ("min", "max")
) -> Any:
    least, most = (rules.get(name) for name in names)
    try:
        if least is not None and found < read(least):
            raise _Wrong(f"{shown(str(found))} is less than {least}")
        if most is not None and found > read(most):
            raise _Wrong(f"{shown(str(found))} is more than {most}")
    except TypeError:
        raise _Wrong(f"{shown(str(found))} cannot be compared: of it and its bounds, some have an offset") from None
    return found


def _boolean(value: Any, _: Mapping[str, Any]) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise ValueError
    return str(value).lower() == "true"


def _moment(read: Callable[[str], Any]) -> Callable[[Any, Mapping[str, Any]], str]:
    def at(value: Any, rules: Mapping[str, Any]) -> str:
        found = _bounded(read(str(value)), rules, read, ("after", "before"))
        text: str = found.isoformat()
        return text.replace("+00:00", "Z")

    return at


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _duration(value: Any, rules: Mapping[str, Any]) -> str:
    _bounded(parse_duration(str(value)), rules, lambda text: parse_duration(str(text)))
    return str(value)


def _choices(rules: Mapping[str, Any]) -> list[str]:
    choices = rules.get("values", rules.get("options", []))
    if isinstance(choices, str):
        choices = orjson.loads(choices)
    if not isinstance(choices, list):
        raise _Wrong(f"its choices are a list, not {shown(choices)}")
    return [each if isinstance(each, str) else str(each) for each in choices]


def _select(value: Any, rules: Mapping[str, Any]) -> str:
    text = _text(value, {})
    if not rules.get("allowCustomValue") and not rules.get("optional") and text not in (choices := _choices(rules)):
        raise _Wrong(f"{shown(text)} is none of {', '.join(choices)}")
    return text


def _multiselect(value: Any, rules: Mapping[str, Any]) -> list[str]:
    return [_select(each, {**rules, "optional": False}) for each in _array(value, {"itemType": "STRING"})]


def _json(value: Any, _: Mapping[str, Any]) -> Any:
    found = orjson.loads(value) if isinstance(value, str) else value
    if (problem := problem_of(found)) is not None:
        raise _Wrong(problem)
    return found


def _yaml(value: Any, _: Mapping[str, Any]) -> Any:
    return read_yaml(value) if isinstance(value, str) else value


def _array(value: Any, rules: Mapping[str, Any]) -> list[Any]:
    elements = _json(value, rules)
    if not isinstance(elements, list):
        raise ValueError
    if "itemType" not in rules:
        return elements
    return [read_value(rules["itemType"], each, {}) for each in elements]


def _file(value: Any, rules: Mapping[str, Any]) -> str:
    uri = _form(_URI)(value, rules)
    endings = rules.get("allowedFileExtensions", [])
    if endings and not uri.endswith(tuple([endings] if isinstance(endings, str) else endings)):
        raise _Wrong(f"{shown(uri)} ends with none of {', '.join(endings)}")
    return uri


_READ: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    "STRING": _text, "SECRET": _text, "EMAIL": _form(_EMAIL), "URI": _form(_URI), "FILE": _file,
    "INT": _number(int), "FLOAT": _number(float), "BOOL": _boolean, "BOOLEAN": _boolean,
    "DATE": _moment(date.fromisoformat), "TIME": _moment(time.fromisoformat), "DATETIME": _moment(_instant),
    "DURATION": _duration, "SELECT": _select, "ENUM": _select, "MULTISELECT": _multiselect,
    "ARRAY": _array, "JSON": _json, "YAML": _yaml, "FORM": _json,
}  # fmt: skip
_ARTICLES: Final = {
    "INT": "a whole number", "FLOAT": "a number", "BOOL": "true or false", "BOOLEAN": "true or false", "JSON": "JSON",
    "EMAIL": "an address like name@example.com", "URI": "a URI with its scheme", "FILE": "the URI of a stored file",
    "DATE": "a date like 2026-01-31", "TIME": "a time like 10:30:00", "DATETIME": "a time like 2026-01-31T10:30:00Z",
    "DURATION": "a duration like PT1M30S", "ARRAY": "a list", "MULTISELECT": "a list",
}  # fmt: skip
