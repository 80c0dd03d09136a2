"""What is written is read back the same: by our readers, and by others."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON, YAML, Codec

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
# Texts out of what means something to YAML, which random characters hardly ever put together.
PARTS = r"""- : # | > ' " \ --- ... { ] a no 1 e . 🙂 é &a *a ! % @ ` ~ << = ?"""
LOADED_TEXTS = st.lists(
    st.sampled_from([*PARTS.split(" "), *" \n\t\r\x85\u2028\ufeff\x7f\x1b", ": ", " #"]), max_size=8
).map("".join)
WORDS = """
    no No NO yes on off y n Y N true True TRUE false null Null ~ = << 1:30 190:20:30 010 0o10 0x1F 0b1 1_000 1,000
    1e3 1.5 .5 5. +1 -1 0 -0 00 08 0.0 12e03 1e5 E1 e1 .inf -.inf .nan .NaN 2024-01-01 2024-01-01T00:00:00Z
    2001-12-14t21:59:43.10-05:00 01936f6e-1111-7222-8333-444444444444 e1936f6e-1111-7222-8333-444444444444 a:b a::b a:
    :a #a a#b a,b [a] {a} a[0] !a &a *a %a @a - ? --- ... awf.task/poll include-settings? it's
"""
MISREADABLE = st.sampled_from(WORDS.split())
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), FLOATS, TEXTS, LOADED_TEXTS, MISREADABLE
)
KEYS = TEXTS | LOADED_TEXTS | MISREADABLE
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def same(one: object, other: object) -> bool:
    """Equal in types, order of keys and signs of zeros as well."""
    return repr(one) == repr(other)


def read_or_refuse(codec: Codec, body: bytes) -> object:
    try:
        return codec.decode(body)
    except TaskRpcError as refusal:
        return refusal


@settings(deadline=None)
@given(VALUES)
@example([1e16, -0.0, 1e-7, 1.7976931348623157e308, 5e-324, 1e22, -(2**63), 2**64 - 1])
@pytest.mark.parametrize("codec", [JSON, YAML], ids=lambda codec: codec.name)
def test_a_value_is_read_back_as_it_was_written(codec: Codec, value: object) -> None:
    assert same(codec.decode(codec.encode(value)), value)


@settings(deadline=None)
@given(VALUES)
@example({"k" * 2000: ["\x85" * 2000], "é" * 1023: "x\n" * 3})
@example(["a\n b", "a\n\n\nb\n", " a\nb", "\ta\nb", "\na", "a\n \nb", "a\nb \n", "a\n\t", "---\n...", "# a\n# b\n"])
@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_a_reader_of_yaml_1_1_sees_the_same_value(loader: Any, value: object) -> None:
    assert same(yaml.load(YAML.encode(value), loader), value)


@settings(deadline=None)
@given(VALUES)
def test_a_reader_of_json_sees_the_same_value(value: object) -> None:
    assert same(json.loads(JSON.encode(value)), value)


@settings(deadline=None)
@given(st.binary(max_size=200) | TEXTS.map(str.encode) | LOADED_TEXTS.map(str.encode))
@pytest.mark.parametrize("codec", [JSON, YAML], ids=lambda codec: codec.name)
def test_random_bytes_are_read_or_refused_and_never_crash(codec: Codec, body: bytes) -> None:
    outcome = read_or_refuse(codec, body)
    if isinstance(outcome, TaskRpcError):
        assert outcome.type == "unparsable-body"
    else:
        assert same(codec.decode(codec.encode(outcome)), outcome)
