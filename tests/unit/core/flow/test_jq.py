"""The part of jq that expressions have."""

# ruff: noqa: E501  (tables)

from typing import Any, Final

import pytest

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.jq import jq

DOCUMENT: Final = {
    "list": [3, 1, {"b": "x"}],
    "numbers": [3, 1, 2, 1],
    "none": None,
    "text": "a-b",
    "map": {"k": 1, "two words": 2},
    "people": [{"name": "Zoe", "age": 30}, {"name": "Abe", "age": None}],
}

PROGRAMS: Final = [
    (".text", ["a-b"]),
    (".map.k, .map.nope, .none.x.y", [1, None, None]),
    ('.map["two words"], .map."two words", ."text"', [2, 2, "a-b"]),
    (".list[0], .list[-1].b, .list[9], .list.[1]", [3, "x", None, 1]),
    (".numbers[1:3], .numbers[:1], .numbers[2:], .text[0:1]", [[1, 2], [3], [2, 1], "a"]),
    (".numbers[]", [3, 1, 2, 1]),
    (".map[]", [1, 2]),
    ("[.people[].name]", [["Zoe", "Abe"]]),
    (".people | map(.age)", [[30, None]]),
    ('[.people[] | select(.name == "Abe" or .age > 29 and true) | .name]', [["Zoe", "Abe"]]),
    ("{text, n: .numbers[0], \"q\": 1}", [{"text": "a-b", "n": 3, "q": 1}]),
    ("{a: .numbers[0:2][]}", [{"a": 3}, {"a": 1}]),
    (".none // \"d\", (.text // 1)", ["d", "a-b"]),
    (".text[0]? // 7", [7]),
    ("1 + 2 * 3 - 4 / 2, 7 % 4, -3, 1 / 2, 2.5 * 2", [5, 3, -3, 0.5, 5]),
    ("1 == 1.0, 1 != 2, \"a\" < \"b\", 2 > 1, 1 <= 1, 1 >= 2, null < false", [True, True, True, True, True, False, True]),
    (".list == [3, 1, {\"b\": \"x\"}], .map == {}, [] < {}", [True, False, True]),
    ("null + 1, 1 + null, \"a\" + \"b\", [1] + [2], {\"a\": 1} + {\"b\": 2}", [1, 1, "ab", [1, 2], {"a": 1, "b": 2}]),
    (".numbers | length, add, first, last, min, max, sort, unique, reverse", [4, 7, 3, 1, 1, 3, [1, 1, 2, 3], [1, 2, 3], [1, 2, 1, 3]]),
    (".none | length", [0]),
    (".map | keys, length, to_entries", [["k", "two words"], 2, [{"key": "k", "value": 1}, {"key": "two words", "value": 2}]]),
    (".list | keys", [[0, 1, 2]]),
    (".map | to_entries | from_entries", [{"k": 1, "two words": 2}]),
    ("[.[] | type]", [["array", "array", "null", "string", "object", "array"]]),
    ("[1, \"1\", true | type, tostring]", [["number", "1", "string", "1", "boolean", "true"]]),
    ("\"12\" | tonumber", [12]),
    ("\"1.5\" | tonumber", [1.5]),
    (".list | tojson", ['[3,1,{"b":"x"}]']),
    (".text | ascii_upcase, ascii_downcase, split(\"-\"), startswith(\"a\"), endswith(\"a\"), contains(\"-\")", ["A-B", "a-b", ["a", "b"], True, False, True]),
    (".numbers | join(\",\"), contains(2)", ["3,1,2,1", True]),
    ("[null, 1] | join(\"-\"), any, all, (map(not))", ["-1", True, False, [True, False]]),
    (".people | sort_by(.name) | .[0].name", ["Abe"]),
    (".map | has(\"k\"), has(\"x\")", [True, False]),
    ("[[1], 2] | flatten", [[1, 2]]),
    ("[], true, false, null, \"\\n\\\"\"", [[], True, False, None, '\n"']),
    ("[.numbers[] | select(. > 1)] | length", [2]),
]  # fmt: skip

MISTAKES: Final = [
    ("def f: f; f", "jq does not know 'def' here"),
    ("[range(9)]", "does not know 'range'"),
    ("..", "does not know '..'"),
    (".a |", "expects more, not 'the end'"),
    ("(1", "expects ), not 'the end'"),
    ("{a 1}", "expects ,, not '1'"),
    (". ]", "does not understand ']'"),
    ("§", "does not understand '§'"),
    (".text.x", 'cannot look for "x" in a string'),
    (".text[]", "cannot go through a string"),
    (".map[1:2]", "slices a list or text"),
    (".text - 1", "jq - needs a number"),
    ("1 / 0", "divides by zero"),
    ("1 % 0", "divides by zero"),
    (".none | sort", "sort cannot be used on a null"),
    ("\"x\" | tonumber", "tonumber cannot be used on a string"),
    ("(" * 40 + "1" + ")" * 40, "nested deeper than 32"),
    (" | ".join(["."] * 60), "chains more than 32"),
    (" | ".join(["(., .)"] * 20), "makes more than 20000 values"),
    ("(" + " | ".join(["(., .)"] * 20) + ")?", "makes more than 20000 values"),
    (" | ".join(["[., .]"] * 16) + " | . == .", "has more than 200000 parts"),
    (" | ".join(["[., .]"] * 10) + " | . == .", "compares lists and maps of at most 4096"),
    ("\"" + "x" * 600_000 + "\" | . + .", "too large"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "values"), PROGRAMS)
def test_a_program_makes_values(program: str, values: list[Any]) -> None:
    assert jq(DOCUMENT, program) == values


@pytest.mark.parametrize(("program", "problem"), MISTAKES)
def test_a_mistake_in_a_program_is_told(program: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        jq(DOCUMENT, program)
    assert problem in str(refused.value)
