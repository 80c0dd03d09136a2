"""How YAML answers look."""

import enum
from typing import Any

import pytest

from taskrpc.core.json_text import JsonText
from taskrpc.wire.yaml_reader import decode
from taskrpc.wire.yaml_writer import encode


class Status(enum.StrEnum):
    READY = "ready"


RESOURCE = {
    "result": {
        "resource": {
            "id": "01936f6e-1111-7222-8333-444444444444",
            "definition": "aidbox.bulk/import-resource-task",
            "params": {
                "url": "https://example.org/a?b=c",
                "nothing": {},
                "none": [],
                "yes": "no",
                "it's": "a 'test'",
            },
            "matrix": [[1, 2.5], [[True]], {"a": 1, "b": [None]}],
            "message": "first\n\n  second\n",
            "meta": {"createdAt": "2023-05-04T16:33:12.056223Z", "versionId": "17633"},
        }
    }
}
WRITTEN = """\
result:
  resource:
    id: 01936f6e-1111-7222-8333-444444444444
    definition: aidbox.bulk/import-resource-task
    params:
      url: https://example.org/a?b=c
      nothing: {}
      none: []
      "yes": "no"
      it's: a 'test'
    matrix:
      - - 1
        - 2.5
      - - - true
      - a: 1
        b:
          - null
    message: |
      first

        second
    meta:
      createdAt: "2023-05-04T16:33:12.056223Z"
      versionId: "17633"
"""


def test_an_answer_is_written_in_block_style_with_keys_in_order() -> None:
    assert encode(RESOURCE).decode() == WRITTEN


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"), (True, "true"), (False, "false"), (17, "17"), ({}, "{}"), ([], "[]"), ("", '""'),
        (1e16, "1.0e+16"), (1e-7, "1.0e-07"), (1.5e300, "1.5e+300"), (-0.0, "-0.0"), (2.0, "2.0"),
        (float("nan"), "null"), (float("-inf"), "null"),
        ("a b", "a b"), ("a: b", '"a: b"'), ("a #b", '"a #b"'), (" a", '" a"'), ("a ", '"a "'), ("a:", '"a:"'),
        ("- a", '"- a"'), ("1e3", '"1e3"'), ("e1", '"e1"'), ("N", '"N"'), ("<<", '"<<"'), ("=", '"="'),
        ("2024-01-01", '"2024-01-01"'), ("日本語", "日本語"), ("🙂", '"🙂"'), ("\x85\u2028", '"\\u0085\\u2028"'),
        ("\ufeff\x7f\x1b\0", '"\\ufeff\\u007f\\u001b\\u0000"'), ("a\nb", "|-\n  a\n  b"), ("---\na\n", "|\n  ---\n  a"),
        ("a\n\n", '"a\\n\\n"'), ("\na", '"\\na"'), ("a\r\nb", '"a\\r\\nb"'),
        (["a\nb\n"], "- |\n  a\n  b"), ({"a\nb": 1}, '"a\\nb": 1'),
    ],
)  # fmt: skip
def test_a_scalar_is_quoted_where_a_reader_might_take_it_for_something_else(value: object, written: str) -> None:
    assert encode(value).decode() == f"{written}\n"


def test_a_long_key_is_written_so_that_readers_find_its_colon() -> None:
    key = "k" * 1001
    assert encode([{key: {"a": 1}}]).decode() == f"- ? {key}\n  :\n    a: 1\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (JsonText('{"a": [1, {"b": "no"}]}'), 'a:\n  - 1\n  - b: "no"\n'),
        ({"a": JsonText("[]"), "b": [JsonText('{"c":1}')]}, "a: []\nb:\n  - c: 1\n"),
        ({"status": Status.READY}, "status: ready\n"),
        ((1, 2), "- 1\n- 2\n"),
    ],
)  # fmt: skip
def test_what_json_has_a_form_for_is_written_in_that_form(value: object, written: str) -> None:
    assert encode(value).decode() == written


@pytest.mark.parametrize("value", [{"a": object()}, {1: "a"}, "\ud800"])
def test_a_value_without_a_form_in_json_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_deep_values_are_written() -> None:
    value: Any = "bottom"
    for level in range(200):
        value = [value] if level % 2 else {"a": value}
    assert encode(value).decode().endswith("a: bottom\n")


def test_the_deepest_value_that_is_read_is_written_too() -> None:
    body = "[" * 64 + "]" * 64
    assert decode(encode(decode(body.encode()))) == decode(body.encode())
