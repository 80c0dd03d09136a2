"""YAML within flows: `yaml()` and inputs read it, the filter `yaml` writes it. Values are those that JSON has."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.operations import operation
from taskrpc.core.flow.expressions.values import plain, shown, text_of

_MOST_DEPTH: Final = 64
_WORDS: Final[Mapping[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")


def read_yaml(text: str) -> Any:
    """The value of a text; raises ValueError for what is no YAML, has aliases, or is nested deeper than 64."""
    parser = yaml.CSafeLoader(text)
    events = (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)
    try:
        while not isinstance(event := parser.get_event(), (*events, yaml.StreamEndEvent)):
            pass
        return None if isinstance(event, yaml.StreamEndEvent) else _value(parser.get_event, event, 0)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _value(following: Callable[[], Any], event: Any, depth: int) -> Any:
    if depth > _MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {_MOST_DEPTH}")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        elements: list[Any] = []
        while not isinstance(event := following(), yaml.SequenceEndEvent):
            elements.append(_value(following, event, depth + 1))
        return elements
    if not isinstance(event, yaml.MappingStartEvent):
        raise ValueError("it has an alias, which is not read here")
    entries: dict[str, Any] = {}
    while not isinstance(event := following(), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise ValueError("it has a key that is no text")
        entries[event.value] = _value(following, following(), depth + 1)
    return entries


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if number := _NUMBER.fullmatch(text):
        return float(text) if number[1] or number[2] else int(text)
    return text


@operation("yaml()")
def _read(_: None, value: Any) -> Any:
    try:
        return None if value is None else read_yaml(text_of(value))
    except ValueError as error:
        raise ExpressionError(f"{shown(value)} is not YAML: {error}") from None


@operation("|yaml")
def _write(value: Any) -> str:
    dumped = yaml.dump(plain(value), Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True)
    return dumped.removesuffix("...\n")


class _Dumper(yaml.SafeDumper):
    """Writes no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never an alias for what is there twice."""
        return True
