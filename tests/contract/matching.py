"""Expected values with placeholders in them: what fits, what is captured, and what is put into the next request.

`<kind>` stands for any value of a kind, `<kind name>` also captures it, and `<name>` is what was captured or made up
before; inside a longer text it is put in as text. The key `<others>` of a mapping allows keys that are not listed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

OTHERS: Final = "<others>"

_PLACEHOLDER: Final = re.compile(r"<([a-z][a-z-]*)(?: ([a-z][a-z-]*))?>")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = re.compile(r"[1-9][0-9]*")


class TranscriptError(Exception):
    """A transcript that cannot be replayed against any server: the mistake is in the file."""


def _text_like(form: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


KINDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "any": lambda value: value is not None,
    "text": lambda value: isinstance(value, str) and bool(value),
    "id": _text_like(_ID),
    "uuid": _text_like(_UUID),
    "time": _text_like(_TIME),
    "version": _text_like(_VERSION),
    "integer": lambda value: type(value) is int,
    "list": lambda value: isinstance(value, list),
    "mapping": lambda value: isinstance(value, dict),
}


class Names:
    """What the placeholders of one replay stand for: names that were given from the start, and captured values."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._values: dict[str, object] = {}
        for name, value in given.items():
            self._capture(name, value)

    def filled(self, value: object) -> object:
        """A copy of `value` with all names replaced by what they stand for, in keys as well. Raises TranscriptError."""
        if isinstance(value, dict):
            return {str(self.filled(key)): self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if whole := _PLACEHOLDER.fullmatch(value):
            return self._value(whole)
        return _PLACEHOLDER.sub(lambda found: str(self._value(found)), value)

    def mismatches(self, expected: object, actual: object, path: str = "") -> Iterator[str]:
        """A sentence for each place where `actual` is not as expected; captures on the way."""
        if isinstance(expected, dict):
            yield from self._in_mapping(expected, actual, path)
        elif isinstance(expected, list):
            yield from self._in_list(expected, actual, path)
        elif isinstance(expected, str) and (found := _PLACEHOLDER.fullmatch(expected)) and found[1] in KINDS:
            if not KINDS[found[1]](actual):
                yield f"{path or 'the body'}: {actual!r} is not of the kind <{found[1]}>"
            elif found[2]:
                self._capture(found[2], actual)
        else:
            wanted = self.filled(expected)
            if type(wanted) is not type(actual) or wanted != actual:
                yield f"{path or 'the body'}: expected {wanted!r}, got {actual!r}"

    def _in_mapping(self, expected: Mapping[str, object], actual: object, path: str) -> Iterator[str]:
        if not isinstance(actual, dict):
            yield f"{path or 'the body'}: expected a mapping, got {actual!r}"
            return
        wanted = {str(self.filled(key)): value for key, value in expected.items() if key != OTHERS}
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else key
            if key in actual:
                yield from self.mismatches(value, actual[key], inner)
            else:
                yield f"{inner}: is missing"
        if OTHERS not in expected:
            yield from (f"{path}.{key}: was not expected: {actual[key]!r}" for key in actual if key not in wanted)

    def _in_list(self, expected: list[object], actual: object, path: str) -> Iterator[str]:
        if not isinstance(actual, list) or len(actual) != len(expected):
            yield f"{path or 'the body'}: expected a list of {len(expected)}, got {actual!r}"
            return
        for n, (wanted, element) in enumerate(zip(expected, actual, strict=True)):
            yield from self.mismatches(wanted, element, f"{path}[{n}]")

    def _value(self, found: re.Match[str]) -> object:
        name = found[1]
        if found[2] or name in KINDS:
            raise TranscriptError(f"{found[0]} can only stand alone, as a whole value of an expectation")
        if name not in self._values:
            raise TranscriptError(f"{found[0]} is neither a kind nor the name of anything captured before")
        return self._values[name]

    def _capture(self, name: str, value: object) -> None:
        if name in KINDS or f"<{name}>" == OTHERS:
            raise TranscriptError(f"{name} cannot be a name: it is the name of a kind")
        if name in self._values:
            raise TranscriptError(f"{name} was captured before; write <{name}> where the same value is expected")
        self._values[name] = value
