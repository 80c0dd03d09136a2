"""JSON bodies to objects and back.

`orjson` reads fast but forgives: the last of two equal keys wins, integers beyond 64 bits become floats,
U+0000 and a thousand levels pass. A small body that comes out the same when it is written again was read exactly.
For others cheap looks at the bytes and one walk over the values tell whether any of that may have happened; only then
`json_scan` reads the text a second time, exactly.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson

from taskrpc.core.json_text import JsonText
from taskrpc.errors import TaskRpcError
from taskrpc.wire import json_scan
from taskrpc.wire.faults import MAX_DEPTH, EmptyBodyError, refusal_at, utf8_text

_LARGE_BODY: Final = 256 * 1024
# Beyond this a body is mostly texts, which the walk passes over and writing does not.
_MOST_WRITTEN_AGAIN: Final = 1024
_WHITE_SPACE: Final = b" \t\r\n"

# An integer that 64 bits cannot hold reaches us as a float beyond these; so do a few honest floats.
_LEAST_HONEST: Final = -9.2e18
_MOST_HONEST: Final = 1.8e19


def decode(body: bytes) -> object:
    """The value of a JSON body.

    Raises `unparsable-body`, with `data {line, column}` where the place is known, for what is not UTF-8 or
    not JSON, and for what could not be stored or given back unchanged: nesting deeper than 64, duplicate
    keys, U+0000, lone surrogates, integers outside -2^63 to 2^64-1, numbers too large for a float.
    """
    if len(body) > _LARGE_BODY:
        with _collector_paused():
            return _decode(body)
    return _decode(body)


def encode(value: object) -> bytes:
    """`value` as compact JSON; a `JsonText` in it is embedded as it stands.

    Raises TypeError for a value that JSON has no form for.
    """
    return orjson.dumps(value, default=_embedded)


def _embedded(value: object) -> orjson.Fragment:
    if isinstance(value, JsonText):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@contextmanager
def _collector_paused() -> Iterator[None]:
    # While millions of small lists come up the collector traverses them over and over, which can take five
    # times as long as the parsing. Parsing makes no cycles, so there is nothing for it to find.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _decode(body: bytes) -> object:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _syntax_error(body, error) from None
    if b"\\u0000" in body:
        json_scan.refuse_nul(body)
    if not _comes_back(value, body) and _needs_exact_reading(value, body):
        json_scan.read_exactly(body.decode())
    return value


def _comes_back(value: object, body: bytes) -> bool:
    """Whether `value`, written again, is `body`: then no key and no digit of it was lost. So it is with compact JSON.

    For a call the walk takes two to four times as long. It is left to find what may be nested too deep.
    """
    return (
        len(body) <= _MOST_WRITTEN_AGAIN
        and body.count(b"[") + body.count(b"{") <= MAX_DEPTH
        and orjson.dumps(value) == body
    )


def _needs_exact_reading(value: object, body: bytes) -> bool:
    keys, is_integer_in_doubt = _survey(value, body)
    if is_integer_in_doubt:
        return True
    # Each key in the text has its colon, so with as many colons as there are keys left, none was overwritten.
    # Colons in texts spoil the first count; the second, dearer one minds only those after a quotation mark.
    return body.count(b":") != keys and body.translate(None, _WHITE_SPACE).count(b'":') != keys


def _survey(value: object, body: bytes) -> tuple[int, bool]:
    """How many keys all mappings of `value` have, and whether one of its floats may have been an integer."""
    keys, is_integer_in_doubt = 0, False
    level: list[Iterable[Any]] = [(value,)]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[Iterable[Any]] = []
        is_deepest = True
        for elements in level:
            for element in elements:
                kind = type(element)
                if kind is str:
                    continue
                if kind is dict:
                    is_deepest = False
                    keys += len(element)
                    deeper.append(element.values())
                elif kind is list:
                    is_deepest = False
                    if element:
                        deeper.append(element)
                elif kind is float and not _LEAST_HONEST < element < _MOST_HONEST:
                    is_integer_in_doubt = True
        if is_deepest:
            return keys, is_integer_in_doubt
        level = deeper
    raise json_scan.too_deep(body.decode())


def _syntax_error(body: bytes, error: orjson.JSONDecodeError) -> TaskRpcError:
    text = utf8_text(body)
    if not text.strip():
        return EmptyBodyError()
    readable = text[: error.pos]
    if json_scan.too_deep_offset(readable) is not None:
        return json_scan.too_deep(readable)
    return refusal_at(f"the body cannot be read as JSON: {error.msg}", text, error.pos)
