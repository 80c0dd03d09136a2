"""YAML bodies to objects, with the data model of JSON.

The events of libyaml are turned into values here, not by PyYAML's loaders: those crash on deep nesting,
expand alias bombs and take `no`, `1:30` and dates for something else than text. Only an empty plain scalar,
`~`, `null`, `true`, `false` and the numbers of JSON are typed; every other scalar is text.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml
from yaml import CSafeLoader
from yaml.reader import ReaderError

from taskrpc.errors import TaskRpcError
from taskrpc.wire.faults import (
    MAX_DEPTH,
    NUL_IN_TEXT,
    TOO_DEEP,
    EmptyBodyError,
    duplicate_key,
    integer_out_of_range,
    is_integer_in_range,
    refusal,
    refusal_at,
    shown,
    utf8_text,
)

_UNREADABLE: Final = "the body cannot be read as YAML"
_WORDS: Final[Mapping[str, object]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")

# libyaml compares each of these with all before it: seconds for the 70,000 that fit into 1 MiB.
_TAG_DIRECTIVE: Final = re.compile("(?:^|[\n\r\x85\u2028\u2029])\ufeff?%TAG")
_MOST_TAG_DIRECTIVES: Final = 64


def decode(body: bytes) -> object:
    """The value of a YAML body of one document.

    A plain `1` or `true` that is a key is the text "1" or "true". Raises `unparsable-body`, with
    `data {line, column}` where the place is known, for what is not UTF-8 or not YAML, and for aliases,
    anchors, tags, a second document, duplicate keys, keys that are lists or mappings, nesting deeper than 64,
    U+0000, lone surrogates, integers outside -2^63 to 2^64-1 and numbers too large for a float.
    """
    text = utf8_text(body)
    if "%TAG" in text and len(_TAG_DIRECTIVE.findall(text)) > _MOST_TAG_DIRECTIVES:
        raise refusal(f"the body has more than {_MOST_TAG_DIRECTIVES} %TAG directives, and tags are not allowed")
    parser, document = CSafeLoader(body), _Document()
    try:
        while event := parser.get_event():
            _STEPS[type(event)](document, event)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from None
    except ReaderError as error:
        raise _unreadable(error, body) from None
    return document.value()


class _Document:
    """The one document of a body while its events come in."""

    __slots__ = ("_container", "_key", "_open", "_root")

    def __init__(self) -> None:
        self._root: list[object] = []
        self._container: Any = self._root
        self._key: str | None = None
        self._open: list[Any] = []

    def value(self) -> object:
        if not self._root:
            raise EmptyBodyError
        return self._root[0]

    def begin(self, event: yaml.DocumentStartEvent) -> None:
        if self._root:
            raise _refusal("a body is one document; a batch is a list", event)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        _refuse_properties(event)
        text: str = event.value
        if "\0" in text:
            raise _refusal(NUL_IN_TEXT, event)
        if self._key is None and type(self._container) is dict:
            if text in self._container:
                raise _refusal(duplicate_key(text), event)
            self._key = text
        elif not event.implicit[0]:
            self._put(text)
        elif text or self._open:
            self._put(_typed(text, event))
        else:
            raise EmptyBodyError

    def begin_mapping(self, event: yaml.MappingStartEvent) -> None:
        self._begin({}, event)

    def begin_sequence(self, event: yaml.SequenceStartEvent) -> None:
        self._begin([], event)

    def end(self, _: yaml.CollectionEndEvent) -> None:
        self._container = self._open.pop()

    def alias(self, event: yaml.AliasEvent) -> None:
        raise _refusal(f"aliases are not allowed, but here is {shown(f'*{event.anchor}')}", event)

    def ignore(self, _: yaml.Event) -> None:
        """The bounds of the stream and the end of the document say nothing about its value."""

    def _begin(self, container: dict[str, object] | list[object], event: yaml.CollectionStartEvent) -> None:
        _refuse_properties(event)
        if self._key is None and type(self._container) is dict:
            raise _refusal("a key is a list or a mapping, but must be text", event)
        if len(self._open) == MAX_DEPTH:
            raise _refusal(TOO_DEEP, event)
        self._put(container)
        self._open.append(self._container)
        self._container = container

    def _put(self, value: object) -> None:
        if self._key is None:
            self._container.append(value)
        else:
            self._container[self._key] = value
            self._key = None


_STEPS: Final[Mapping[type[yaml.Event], Callable[[_Document, Any], None]]] = {
    yaml.StreamStartEvent: _Document.ignore,
    yaml.StreamEndEvent: _Document.ignore,
    yaml.DocumentStartEvent: _Document.begin,
    yaml.DocumentEndEvent: _Document.ignore,
    yaml.ScalarEvent: _Document.scalar,
    yaml.MappingStartEvent: _Document.begin_mapping,
    yaml.MappingEndEvent: _Document.end,
    yaml.SequenceStartEvent: _Document.begin_sequence,
    yaml.SequenceEndEvent: _Document.end,
    yaml.AliasEvent: _Document.alias,
}


def _typed(plain: str, event: yaml.ScalarEvent) -> object:
    if plain in _WORDS:
        return _WORDS[plain]
    number = _NUMBER.fullmatch(plain)
    if number is None:
        return plain
    if number.lastindex is None:
        if not is_integer_in_range(plain):
            raise _refusal(integer_out_of_range(plain), event)
        return int(plain)
    if math.isinf(value := float(plain)):
        raise _refusal(f"the number {shown(plain)} is too large for a float; send it as text", event)
    return value


def _refuse_properties(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.anchor is not None:
        raise _refusal(f"anchors are not allowed, but here is {shown(f'&{event.anchor}')}", event)
    if event.tag is not None:
        raise _refusal(f"tags are not allowed, but here is {shown(event.tag)}", event)


def _refusal(message: str, event: yaml.Event) -> TaskRpcError:
    return _refusal_at_mark(message, event.start_mark)


def _refusal_at_mark(message: str, mark: Any) -> TaskRpcError:
    return refusal(message, mark.line + 1, mark.column + 1)


def _syntax_error(error: yaml.MarkedYAMLError) -> TaskRpcError:
    problem = ", ".join(filter(None, (error.context, error.problem)))
    return _refusal_at_mark(f"{_UNREADABLE}: {problem}", error.problem_mark)


def _unreadable(error: ReaderError, body: bytes) -> TaskRpcError:
    readable = body[: error.position].decode()
    return refusal_at(f"{_UNREADABLE}: U+{error.character:04X}, {error.reason}", readable, len(readable))
