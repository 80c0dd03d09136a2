"""YAML bodies: the data model of JSON, and what is refused, with its place."""

import pytest

from taskrpc.errors import TaskRpcError
from taskrpc.wire.yaml_reader import decode


def refusal(body: str | bytes) -> TaskRpcError:
    with pytest.raises(TaskRpcError) as caught:
        decode(body if isinstance(body, bytes) else body.encode())
    assert caught.value.type == "unparsable-body"
    return caught.value


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("~", None), ("null", None), ("true", True), ("false", False), ("", None),
        ("0", 0), ("-0", 0), ("17", 17), ("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63)),
        ("1.0", 1.0), ("-0.0", -0.0), ("1e3", 1000.0), ("1E+3", 1000.0), ("-1.5e-3", -0.0015), ("1e-400", 0.0),
    ],
)  # fmt: skip
def test_what_json_knows_is_typed(plain: str, value: object) -> None:
    assert repr(decode(f"a: {plain}".encode())) == repr({"a": value})


OTHER_WORDS = """
    no yes on off y n Null NULL True FALSE 010 0o10 0x1F 0b1 1_000 1:30 190:20:30 .inf -.inf .nan +1 1. .5 = << 01 1e
    1e+ 2024-01-01 2024-01-01T00:00:00Z 1.2.3 -- -a ١
"""


@pytest.mark.parametrize("plain", OTHER_WORDS.split())
def test_every_other_plain_scalar_is_text(plain: str) -> None:
    assert decode(f"a: {plain}\n".encode()) == {"a": plain}


@pytest.mark.parametrize("scalar", ["'1'", '"1"', "|-\n 1", ">-\n 1"])
def test_a_quoted_scalar_is_text(scalar: str) -> None:
    assert decode(f"a: {scalar}".encode()) == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("method: poll\nparams:\n  count: 1\n  of: [a/b]\n", {"method": "poll", "params": {"count": 1, "of": ["a/b"]}}),
        ("- a: 1\n- {}\n- []\n-\n", [{"a": 1}, {}, [], None]),
        ("1: a\ntrue: b\n~: c\n1.0: d\n? \n: e\n", {"1": "a", "true": "b", "~": "c", "1.0": "d", "": "e"}),
        ('{"a":1,"b":[true,null,"\\/\\u00e9"]}', {"a": 1, "b": [True, None, "/é"]}),
        ('{\n\t"a":\t1,\n\t"b": [\n\t\t1\n\t]\n}', {"a": 1, "b": [1]}),
        ("%YAML 1.2\n---\na: 1\n...\n# end\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("[a: 1, b]", [{"a": 1}, "b"]),
        ("null", None),
        ("'%TAG ! a'", "%TAG ! a"),
    ],
)  # fmt: skip
def test_a_document_is_read(body: str, value: object) -> None:
    assert repr(decode(body.encode())) == repr(value)


def test_64_levels_are_read() -> None:
    value = decode(b"- " * 63 + b"[]")
    for _ in range(63):
        assert isinstance(value, list)
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    ("body", "message", "line", "column"),
    [
        ("a: &x 1", "anchors are not allowed, but here is &x", 1, 4),
        ("a: &x {}", "anchors are not allowed", 1, 4),
        ("a:\n- *x", "aliases are not allowed, but here is *x", 2, 3),
        ("a: !!int '1'", "tags are not allowed, but here is tag:yaml.org,2002:int", 1, 4),
        ("! a", "tags are not allowed, but here is !", 1, 1),
        ("!set {a}", "tags are not allowed, but here is !set", 1, 1),
        ("a: 1\n---\nb: 2", "a body is one document", 2, 1),
        ("a: 1\nb: 2\n'a': 3", 'the key "a" occurs twice', 3, 1),
        ("1: 1\n'1': 3", 'the key "1" occurs twice', 2, 1),
        ("a: {b: {c: 1}, b: []}", 'the key "b" occurs twice', 1, 16),
        ("? [a]\n: 1", "a key is a list or a mapping", 1, 3),
        ("{a: 1}: 1", "a key is a list or a mapping", 1, 1),
        ("[" * 65 + "]" * 65, "deeper than 64", 1, 65),
        ("- " * 65, "deeper than 64", 1, 129),
        ("".join(f"{' ' * level}a:\n" for level in range(65)), "deeper than 64", 65, 65),
        ('a: "\\0"', "U+0000", 1, 4),
        ('"\\x00": 1', "U+0000", 1, 1),
        ('é: "\\u0000"', "U+0000", 1, 4),
        ("a: é\0", "cannot be read as YAML: U+0000, control characters are not allowed", 1, 5),
        ("a:\n- é\x7f", "U+007F", 2, 4),
        ('a: "\\ud800"', "cannot be read as YAML", 1, 7),
        (b"a: \xff", "not UTF-8: invalid start byte", 1, 4),
        (b"a: \xed\xa0\x80", "not UTF-8: invalid continuation byte", 1, 4),
        ("a: 1".encode("utf-16"), "not UTF-8", 1, 1),
        ("a: 1".encode("utf-16-be"), "U+0000", 1, 1),
        ("a: 18446744073709551616", "the integer 18446744073709551616 is outside", 1, 4),
        ("a: -9223372036854775809", "the integer -9223372036854775809 is outside", 1, 4),
        ("9" * 5000, f"the integer {'9' * 80}… is outside", 1, 1),
        ("- 1e400", "the number 1e400 is too large for a float", 1, 3),
        ("-1" + "0" * 400 + ".0", "is too large for a float", 1, 1),
        ("a: b: c", "mapping values are not allowed in this context", 1, 5),
        ("a: [1", "while parsing a flow sequence, did not find expected", 2, 1),
    ],
)  # fmt: skip
def test_what_is_not_of_json_is_refused_with_its_place(body: str | bytes, message: str, line: int, column: int) -> None:
    error = refusal(body)
    assert message in error.message
    assert error.message.endswith(f"(line {line}, column {column})")
    assert error.data == {"line": line, "column": column}


@pytest.mark.parametrize("body", ["", " \n", "# a comment", "---", "---\n...\n", "--- # nothing\n"])
def test_an_empty_body_is_refused_with_what_to_send(body: str) -> None:
    assert "the body is empty" in refusal(body).message


def test_many_tag_directives_are_refused_before_libyaml_compares_them() -> None:
    body = "".join(f"%TAG !{number}! a\n" for number in range(65)) + "--- a"
    assert "64 %TAG directives" in refusal(body).message
