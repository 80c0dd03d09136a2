"""A second, exact reading of JSON text, for the rare body that the fast one leaves in doubt.

Python's own parser decides, since it hands over every key and every integer; the tokens then say where the
culprit stands. Each text given here has been read by `orjson`, so it is JSON, or JSON up to its end.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

import orjson

from taskrpc.errors import TaskRpcError
from taskrpc.wire.faults import (
    MAX_DEPTH,
    NUL_IN_TEXT,
    TOO_DEEP,
    duplicate_key,
    integer_out_of_range,
    is_integer_in_range,
    refusal,
    refusal_at,
)

# Possessive throughout: no backtracking, and no memory per repetition, on 8 MiB of one string.
_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:[^"\\]++|\\.)*+") (?P<colon>\s*+:)?+
      | (?P<bracket>[][{}])
      | (?P<number>-?[0-9][0-9.eE+-]*+)""",
    re.VERBOSE,
)
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*+(\\u0000)")

# The search for a place ends here, after some 50 ms; a culprit further on is refused without its place.
_TOKENS_SEARCHED: Final = 200_000


def refuse_nul(body: bytes) -> None:
    """Raises if a text or key of the body holds U+0000, and not just a backslash followed by `u0000`."""
    if found := _ESCAPED_NUL.search(body):
        raise refusal_at(NUL_IN_TEXT, body.decode(), len(body[: found.start(1)].decode()))


def read_exactly(text: str) -> None:
    """Raises if two keys of one mapping are equal, however written, or if an integer is beyond 64 bits."""

    def check_keys(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) < len(pairs):
            [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
            raise _refusal(duplicate_key(key), text, _second_offset(text, key))

    def check_integer(digits: str) -> None:
        if not is_integer_in_range(digits):
            raise _refusal(integer_out_of_range(digits), text, _number_offset(text, digits))

    try:
        json.JSONDecoder(object_pairs_hook=check_keys, parse_int=check_integer).decode(text)
    except RecursionError:  # the value of an overwritten key may be as deep as `orjson` lets pass
        raise too_deep(text) from None


def too_deep(text: str) -> TaskRpcError:
    """The refusal of a text that is nested too deep, at the first bracket too many if that is near."""
    return _refusal(TOO_DEEP, text, too_deep_offset(text))


def too_deep_offset(text: str) -> int | None:
    """Where the first bracket beyond the limit of nesting stands; None if there is none or it is far away."""
    depth = 0
    for token in _tokens(text):
        if token["bracket"] in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                return token.start()
        elif token["bracket"]:
            depth -= 1
    return None


def _second_offset(text: str, key: str) -> int | None:
    open_mappings: list[bool] = []
    for token in _tokens(text):
        if token["bracket"] == "{":
            open_mappings.append(False)
        elif token["bracket"] == "}":
            open_mappings.pop()
        elif token["colon"] and orjson.loads(token["text"]) == key:
            if open_mappings[-1]:
                return token.start()
            open_mappings[-1] = True
    return None


def _number_offset(text: str, digits: str) -> int | None:
    return next((token.start() for token in _tokens(text) if token["number"] == digits), None)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return islice(_TOKEN.finditer(text), _TOKENS_SEARCHED)


def _refusal(message: str, text: str, offset: int | None) -> TaskRpcError:
    return refusal(message) if offset is None else refusal_at(message, text, offset)
