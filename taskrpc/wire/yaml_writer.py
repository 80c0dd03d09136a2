"""Objects to YAML in block style: pleasant for people, and nothing that a reader takes for something else.

A text is written plain only if it looks like words, a path or a UUID. Whatever some reader of YAML 1.1 or 1.2
might take for a number, a time, a boolean, null, a merge key or syntax is quoted, in the way of JSON.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from taskrpc.wire import json_codec

_INDENT: Final = "  "

# A letter first, then words joined by one space or colon each: no indicator, no ": ", no " #", no space last.
# A reader in JavaScript takes `e1` for a number.
_WORD: Final = r"[\w./@+,;=~?!*&%$^<>|()\\'\"-]++"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PLAIN: Final = re.compile(rf"{_UUID}|(?![eE]\d)(?:[^\W\d]|/)(?:{_WORD})?+(?:[ :]{_WORD})*+")
_MISREAD: Final = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))

# What YAML calls unprintable, and what only some readers take for a line break or a byte order mark.
_UNSAFE: Final = "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_UNSAFE_CHARACTER: Final = re.compile(_UNSAFE)
_UNFIT_FOR_BLOCK: Final = re.compile(rf"\A[ \t\n]|\n[ \t]+(?:\n|\Z)|\n\n\Z|{_UNSAFE}")

# Readers look for the colon of a key without "?" in the next 1024 characters only.
_LONGEST_SIMPLE_KEY: Final = 1000


def encode(value: object) -> bytes:
    """`value` as one YAML document in UTF-8, keys in their order.

    Takes what `json_codec.encode` takes and says the same. Raises TypeError for a value or a key that has no
    form in JSON.
    """
    pieces: list[str] = []
    _write(value, "", "", pieces)
    return "".join(pieces).removeprefix(" ").encode()


def _write(value: Any, gap: str, margin: str, pieces: list[str]) -> None:
    """Adds what follows a `key:` or a `-`: a scalar, or `gap` and then entries on lines behind `margin`."""
    kind = type(value)
    if kind is str:
        pieces.append(f" {_text(value, margin)}\n")
    elif kind is dict and value:
        pieces.append(gap)
        _write_mapping(value, margin, pieces)
    elif kind is list and value:
        pieces.append(gap)
        _write_list(value, margin, pieces)
    elif kind in _ATOMS:
        pieces.append(f" {_ATOMS[kind](value)}\n")
    else:
        _write(orjson.loads(json_codec.encode(value)), gap, margin, pieces)


def _write_mapping(mapping: dict[str, object], margin: str, pieces: list[str]) -> None:
    inner = margin + _INDENT
    lead = ""
    for key, value in mapping.items():
        pieces.append(f"{lead}{_key(key, margin)}:")
        _write(value, f"\n{inner}", inner, pieces)
        lead = margin


def _write_list(elements: list[object], margin: str, pieces: list[str]) -> None:
    inner = margin + _INDENT
    lead = ""
    for element in elements:
        pieces.append(f"{lead}-")
        _write(element, " ", inner, pieces)
        lead = margin


def _float(number: float) -> str:
    if not math.isfinite(number):
        return "null"  # as in JSON
    mantissa, e, exponent = repr(number).partition("e")
    # YAML 1.1 knows no float without a dot.
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else repr(number)


_ATOMS: Final[Mapping[type, Callable[[Any], str]]] = {
    int: int.__repr__,
    float: _float,
    bool: lambda flag: "true" if flag else "false",
    type(None): lambda _: "null",
    dict: lambda _: "{}",
    list: lambda _: "[]",
}


def _key(key: str, margin: str) -> str:
    written = key if _is_plain(key) else _quoted(key)
    return written if len(written) <= _LONGEST_SIMPLE_KEY else f"? {written}\n{margin}"


def _text(text: str, margin: str) -> str:
    if _is_plain(text):
        return text
    if "\n" in text and not _UNFIT_FOR_BLOCK.search(text):
        return _block(text, margin or _INDENT)
    return _quoted(text)


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _MISREAD


def _block(text: str, margin: str) -> str:
    header = "|" if text.endswith("\n") else "|-"
    lines = text.removesuffix("\n").split("\n")
    return "\n".join([header, *(margin + line if line else "" for line in lines)])


def _quoted(text: str) -> str:
    return _UNSAFE_CHARACTER.sub(lambda unsafe: f"\\u{ord(unsafe[0]):04x}", orjson.dumps(text).decode())
