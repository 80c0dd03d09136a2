"""Preconditions of Flow triggers: what several executions have to meet within a window of time before one starts.

They are read as {window, conditions: {name: condition}, reset}, see parse_preconditions.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from taskrpc.core.flow.durations import SECOND
from taskrpc.core.flow.expressions.values import is_truthy_text
from taskrpc.core.flow.patterns import compiled

Render = Callable[[str], str | None]

DAY: Final = 86_400 * SECOND


class Heard(NamedTuple):
    """What conditions look at in an execution of another flow."""

    namespace: str
    flow: str
    state: str
    labels: Mapping[str, str]


def met(
    rules: Mapping[str, Any], before: Mapping[str, int], names: Sequence[str], at: int
) -> tuple[dict[str, int], bool]:
    """What is met, as name and time, after an execution has met the conditions `names` at `at`, and whether that was
    the last that was wanted. `before` is what was met so far; what was met before the window that `at` is in, is over.
    Times are microseconds since 1970."""
    since = _since(rules["window"], at)
    if since is None:
        return {}, False
    after = {name: time for name, time in before.items() if time >= since}
    after |= {name: at for name in names if name in rules["conditions"]}
    complete = after.keys() >= rules["conditions"].keys()
    return {} if complete and rules["reset"] else after, complete


def _since(window: Mapping[str, Any], at: int) -> int | None:
    """When the window began that a moment is in; None where it is in none."""
    match window["type"]:
        case "SLIDING_WINDOW":
            return int(at - window["length"])
        case "DURATION_WINDOW":
            return int(at - (at - window["advance"]) % window["length"])
    into_day = at % DAY
    return at - into_day + window["from"] if window["from"] <= into_day <= window["to"] else None


def meets(rules: Mapping[str, Any], heard: Heard, render: Render) -> list[str]:
    """The names of the conditions that an execution meets; `render` answers what an expression of it comes to, None
    where it has no value."""
    return [name for name, condition in rules["conditions"].items() if _holds(condition, heard, render)]


def _holds(condition: Mapping[str, Any], heard: Heard, render: Render) -> bool:
    if "filters" in condition:
        quantifier = any if condition["operand"] == "OR" else all
        return quantifier(_passes(each, heard, render) for each in condition["filters"])
    return (
        heard.namespace == condition["namespace"]
        and condition.get("flowId", heard.flow) == heard.flow
        and heard.state in condition["states"]
        and all(heard.labels.get(key) == value for key, value in condition["labels"].items())
    )


def _passes(each: Mapping[str, Any], heard: Heard, render: Render) -> bool:
    if each["field"] == "EXPRESSION":
        return _OF_EXPRESSIONS[each["type"]](render(each["value"]))
    actual = {"FLOW_ID": heard.flow, "NAMESPACE": heard.namespace, "STATE": heard.state}[each["field"]]
    return OF_TEXTS[each["type"]](actual, each.get("values", each.get("value")))


OF_TEXTS: Final[Mapping[str, Callable[[str, Any], bool]]] = {
    "EQUAL_TO": lambda actual, wanted: actual == wanted,
    "NOT_EQUAL_TO": lambda actual, wanted: actual != wanted,
    "IN": lambda actual, wanted: actual in wanted,
    "NOT_IN": lambda actual, wanted: actual not in wanted,
    "STARTS_WITH": lambda actual, wanted: actual.startswith(wanted),
    "ENDS_WITH": lambda actual, wanted: actual.endswith(wanted),
    "CONTAINS": lambda actual, wanted: wanted in actual,
    "REGEX": lambda actual, wanted: compiled(wanted).fullmatch(actual) is not None,
}
_OF_EXPRESSIONS: Final[Mapping[str, Callable[[str | None], bool]]] = {
    "IS_TRUE": lambda value: value is not None and is_truthy_text(value),
    "IS_FALSE": lambda value: value is not None and not is_truthy_text(value),
    "IS_NULL": lambda value: value is None or value == "",
    "IS_NOT_NULL": lambda value: value is not None and value != "",
}
OF_EXPRESSIONS: Final = tuple(_OF_EXPRESSIONS)
