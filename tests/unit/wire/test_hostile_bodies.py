"""Bodies made to hurt: they are read or refused in little time, and nothing crashes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON, YAML, Codec

MIB = 2**20


@contextmanager
def little_time() -> Iterator[None]:
    """Far above what is needed, even under a coverage tracer, and far below anything quadratic."""
    started = time.process_time()
    yield
    assert time.process_time() - started < 5


def read_or_refuse(codec: Codec, body: bytes) -> object:
    try:
        return codec.decode(body)
    except TaskRpcError as refusal:
        return refusal


def filled(head: str, unit: str, tail: str = "", size: int = MIB) -> bytes:
    return (head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail).encode()


ESCAPED_QUOTE_AND_LARGE_FLOAT = r'["\":",1e30,'
JSON_BODIES = {
    "brackets": filled("", "[", size=8 * MIB),
    "braces": filled("", '{"a":', size=8 * MIB),
    "one string of backslashes": filled('["', r"\\", '"]', size=8 * MIB),
    "one string of quotes": filled('["', r"\"", '"]', size=8 * MIB),
    "nearly a NUL": filled(r'["\u0000', r"\\", '"]'[:-1], size=8 * MIB),
    "one number": filled("[0.", "1", "]", size=8 * MIB),
    "one integer": filled("", "1", size=8 * MIB),
    "lists, read twice": filled(ESCAPED_QUOTE_AND_LARGE_FLOAT, "[[[[[]]]]],", "1]"),
    "mappings, read twice": filled(ESCAPED_QUOTE_AND_LARGE_FLOAT, '{"":0},', "1]"),
    "numbers, read twice": filled(ESCAPED_QUOTE_AND_LARGE_FLOAT, "1,", "1]"),
    "a duplicate behind many tokens": filled('{"a":["\\":",', "[],", '1],"a":1}'),
    "an error behind many tokens": filled("[", "[],", "x]"),
}
YAML_BODIES = {
    "flow lists": filled("", "["),
    "block lists": filled("", "- "),
    "complex keys": filled("", "? "),
    "deep block mappings": "".join(f"{' ' * level}a:\n" for level in range(1400)).encode(),
    "many scalars": filled("[", "a,", "]", size=MIB // 4),
    "many single pairs": filled("[", "? a,", "]", size=MIB // 4),
    "many keys": "".join(f"{number:x}:\n" for number in range(40_000)).encode(),
    "%TAG directives": "".join(f"%TAG !{number:x}! a\n" for number in range(70_000)).encode() + b"--- a",
    "%TAG directives behind a document": b"a\n...\n"
    + "".join(f"%TAG !{number:x}! a\r" for number in range(70_000)).encode() + b"--- a",
    "documents": filled("a\n", "---\n"),
    "anchors": filled("[", "&a ,", "]"),
    "one anchor": filled("&", "a", " b"),
    "one key without a colon": filled("", "a"),
    "one quoted text of escapes": filled('"', r"\x41", '"'),
    "one literal of empty lines": filled("|\n", "\n", " a"),
    "one number": filled("", "1", ".0"),
    "byte order marks": filled("", "\ufeff", size=MIB // 3),
}  # fmt: skip


@pytest.mark.parametrize(("codec", "body"), [
    *(pytest.param(JSON, body, id=f"JSON, {name}") for name, body in JSON_BODIES.items()),
    *(pytest.param(YAML, body, id=f"YAML, {name}") for name, body in YAML_BODIES.items()),
])  # fmt: skip
def test_a_hostile_body_is_read_or_refused_in_little_time(codec: Codec, body: bytes) -> None:
    with little_time():
        outcome = read_or_refuse(codec, body)
    if isinstance(outcome, TaskRpcError):
        assert outcome.type == "unparsable-body"
        assert len(outcome.message) < 400


@pytest.mark.parametrize("unit", ["\n", "a\n", "a ", " \n", "\\", '"', "\x85", "🙂", "a:"])
def test_a_long_text_is_written_in_little_time(unit: str) -> None:
    text = unit * (MIB // len(unit)) + "b"
    with little_time():
        assert YAML.decode(YAML.encode([text])) == [text]
