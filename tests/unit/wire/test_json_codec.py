"""JSON bodies: what is read, what is refused and with which place, and what is written."""

import gc
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrpc.core.json_text import JsonText
from taskrpc.errors import TaskRpcError
from taskrpc.wire.json_codec import decode, encode


def refusal(body: bytes) -> TaskRpcError:
    with pytest.raises(TaskRpcError) as caught:
        decode(body)
    assert caught.value.type == "unparsable-body"
    return caught.value


def nested(depth: int, bracket: str) -> object:
    """`depth` lists or mappings in each other, the innermost one empty."""
    value: object = [] if bracket == "[" else {}
    for _ in range(depth - 1):
        value = [value] if bracket == "[" else {"a": value}
    return value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"b": 1, "a": [1.0, -0.0, 1e3, null, true]}', {"b": 1, "a": [1.0, -0.0, 1000.0, None, True]}),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[1e19, -1e19, 18446744073709551616.0, 1.5e308]", [1e19, -1e19, 2.0**64, 1.5e308]),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'["\\u0000", "\\\\u0000"]', [r"\u0000", r"\\u0000"]),
        (rb'{"a" :{"b":"\":", "c\\":1}, "d": "a : b"}', {"a": {"b": '":', "c\\": 1}, "d": "a : b"}),
        (b'{"a": "2024-01-01T00:00:00Z", "b": "http://x"}', {"a": "2024-01-01T00:00:00Z", "b": "http://x"}),
        (b"[" * 64 + b"]" * 64, nested(64, "[")),
        (b'{"a":' * 63 + b"{}" + b"}" * 63, nested(64, "{")),
    ],
)  # fmt: skip
def test_json_is_read_as_it_stands(body: bytes, value: object) -> None:
    assert repr(decode(body)) == repr(value)


@pytest.mark.parametrize(
    ("body", "message", "line", "column"),
    [
        (b'{"method":\n "a", x}', "cannot be read as JSON", 2, 7),
        ('{"é":\n "🙂", x}'.encode(), "cannot be read as JSON", 2, 7),
        (b"[1,\n NaN]", "cannot be read as JSON", 2, 2),
        (b"[1e400]", "cannot be read as JSON", 1, 2),
        (rb'["\ud800"]', "cannot be read as JSON", 1, 3),
        (rb'["\udc00\ud800"]', "cannot be read as JSON", 1, 3),
        (b'["\xc3\xa9\n\xff"]', "not UTF-8: invalid start byte", 2, 1),
        (b'["\xed\xa0\x80"]', "not UTF-8: invalid continuation byte", 1, 3),
        (b'\xff\xfe{\x00"\x00', "not UTF-8", 1, 1),
        (rb'{"a": "\\\u0000"}', "U+0000", 1, 10),
        (rb'{"\u0000": 1}', "U+0000", 1, 3),
        (b'{"a": 1,\n "b": 2, "a": 3}', 'the key "a" occurs twice', 2, 10),
        (rb'{"a":1,"x":"\":","\u0061" :2}', 'the key "a" occurs twice', 1, 18),
        (b'{"a" :1,"a"\t:2,"x":"\\":"}', 'the key "a" occurs twice', 1, 9),
        (b'{"a":{"b":1}, "b":[{"b":1},{"b":2,\n"b":3}]}', 'the key "b" occurs twice', 2, 1),
        (b'{"a":1,"a":1}', 'the key "a" occurs twice', 1, 8),
        (b'{"a":18446744073709551616}', "the integer 18446744073709551616 is", 1, 6),
        (b'{"a":1,"a":1,"' + b"k" * 100 + b'":1}', 'the key "a" occurs twice', 1, 8),
        (b"[18446744073709551615,\n 18446744073709551616]", "the integer 18446744073709551616 is", 2, 2),
        (b"[-9223372036854775808, -9223372036854775809]", "the integer -9223372036854775809 is", 1, 24),
        (b"1" * 300, "the integer " + "1" * 80 + "… is", 1, 1),
        (b"[" * 65 + b"]" * 65, "deeper than 64", 1, 65),
        (b'{"a":\n' * 65 + b"1" + b"}" * 65, "deeper than 64", 65, 1),
        (b'["]", ' * 65 + b"1" + b"]" * 65, "deeper than 64", 1, 385),
        (b"[[],[]," + b"[" * 64 + b"]" * 64 + b"]", "deeper than 64", 1, 71),
        (b"[" * 5000, "deeper than 64", 1, 65),
        (b'{"a":' * 5000, "deeper than 64", 1, 321),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_its_place(body: bytes, message: str, line: int, column: int) -> None:
    error = refusal(body)
    assert message in error.message
    assert error.message.endswith(f"(line {line}, column {column})")
    assert error.data == {"line": line, "column": column}


@pytest.mark.parametrize("body", [b"", b" \n\t "])
def test_an_empty_body_is_refused_with_what_to_send(body: bytes) -> None:
    error = refusal(body)
    assert "the body is empty" in error.message
    assert error.data is None


def test_an_overwritten_value_that_is_too_deep_is_refused() -> None:
    assert "line 1" in refusal(b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"a":1}').message


@pytest.mark.parametrize(
    ("culprit", "message"),
    [
        (b'{"a":1,"a":2}', 'the key "a" occurs twice'),
        (b"18446744073709551616", "the integer 18446744073709551616 is outside"),
        (b"[" * 64 + b"]" * 64, "deeper than 64"),
    ],
)
def test_a_culprit_far_into_a_body_is_refused_without_its_place(culprit: bytes, message: str) -> None:
    error = refusal(b"[" + b'"",' * 250_000 + culprit + b"]")
    assert message in error.message
    assert error.data is None


# JSON as a client may write it: any white space, any escapes, and keys that occur twice, as lists of pairs.
SPACES = st.sampled_from(["", " ", "\n", "\t "])
PARTS = st.sampled_from(["a", ":", '"', "\\", " ", "é", "\0", "u0000", "{", "["])
RAW_TEXTS = st.lists(PARTS, max_size=6).map("".join)
RAW_NUMBERS = st.one_of(
    st.integers(), st.integers(2**64 - 2, 2**64 + 2), st.integers(-(2**63) - 2, -(2**63) + 2), st.just(1e19)
)


class Pairs(list[tuple[str, Any]]):
    """A mapping before it is known whether its keys are distinct."""


RAW_VALUES = st.recursive(
    RAW_TEXTS | RAW_NUMBERS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(RAW_TEXTS, inner), max_size=4).map(Pairs),
    max_leaves=12,
)


def write(value: object, space: str, is_ascii: bool) -> str:
    if isinstance(value, Pairs):
        pairs = (f"{write(k, '', is_ascii)}{space}:{space}{write(v, space, is_ascii)}" for k, v in value)
        return "{" + f"{space},{space}".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + f"{space},{space}".join(write(v, space, is_ascii) for v in value) + "]"
    return json.dumps(value, ensure_ascii=is_ascii)


def is_guilty(value: object) -> bool:
    if isinstance(value, Pairs):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(is_guilty(key) or is_guilty(v) for key, v in value)
    if isinstance(value, list):
        return any(is_guilty(v) for v in value)
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, int) and not -(2**63) <= value < 2**64


@settings(deadline=None)
@given(RAW_VALUES, SPACES, st.booleans())
def test_exactly_what_cannot_be_kept_is_refused(value: object, space: str, is_ascii: bool) -> None:
    text = write(value, space, is_ascii)
    if is_guilty(value):
        refusal(text.encode())
    else:
        assert repr(decode(text.encode())) == repr(json.loads(text))


@pytest.mark.parametrize("is_enabled", [True, False])
def test_reading_a_large_body_leaves_the_collector_as_it_was(is_enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        decode(b"[" + b"[]," * 100_000 + b"[]]")
        with pytest.raises(TaskRpcError):
            decode(b"[" + b"[]," * 100_000)
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_json_text_is_embedded_as_it_stands() -> None:
    assert (
        encode({"a": JsonText('{"z": 1.50, "a": 1}'), "b": [JsonText("1e2")]}) == b'{"a":{"z": 1.50, "a": 1},"b":[1e2]}'
    )


def test_a_value_without_a_form_in_json_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})
