"""No expression runs for long or fills the memory, and whatever it is, it ends with text or with an ExpressionError."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskrpc.core.flow.expressions.budget import MOST_CHARACTERS
from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import LONGEST, Rendering
from taskrpc.core.flow.expressions.syntax import MOST_DEPTH

BOMBS = {
    "a loop in a loop in a loop": "{% for a in 1..9999 %}{% for b in 1..9999 %}{{ b }}{% endfor %}{% endfor %}",
    "a loop of text": "{% for a in 1..99999 %}" + "x" * 1000 + "{% endfor %}",
    "text that doubles": "{% set t = 'x' %}" + "{% set t = t ~ t %}" * 60 + "{{ t | length }}",
    "a list that doubles": "{% set t = [1] %}" + "{% set t = t + t %}" * 60,
    "a list of itself": "{% set t = 'x' %}" + "{% set t = [t, t] %}" * 60 + "{{ t }}",
    "a list in a list in a list": "{% set t = 'x' %}" + "{% set t = [t] %}" * 3000 + "{{ t }}",
    "a comparison of lists of themselves": "{% set t = 'x' %}" + "{% set t = [t, t] %}" * 16 + "{{ t == t }}" * 99,
    "padding": "{{ 'a' | indent(999999999) }}",
    "a replacement that grows": "{{ 'x' | replace({'x': '" + "x" * 9999 + "', 'xx': '" + "y" * 9999 + "'}) }}" * 99,
    "a large number": "{{ 9999999999 * 9999999999 }}",
    "rendering itself": "{{ render(inputs) }}",
    "nested parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "a long chain": "{{ 1" + " + 1" * 5000 + " }}",
    "many signs": "{{ " + "-" * 5000 + "1 }}",
    "many nots": "{{ " + "not " * 5000 + "1 }}",
    "nested ternaries": "{{ " + "1 ? 1 : " * 5000 + "1 }}",
    "nested tags": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "nested loops": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "a pattern that backtracks": "{{ '" + "a" * 5000 + "!' | split('(a+)+$') | length }}" * 2,
    "a number that is not finite": "{{ 1e400 }}",
    "too long": "{{ 1 }}" + "x" * LONGEST,
}


def told(variables: dict[str, object], source: str) -> str:
    """What becomes of a text: text, or the error's."""
    try:
        return Rendering(variables).text(source)
    except ExpressionError as error:
        return str(error)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_goes_off_in_little_time_and_space(bomb: str) -> None:
    began = time.process_time()
    assert len(told({"inputs": "{{ render(inputs) }}"}, BOMBS[bomb])) <= MOST_CHARACTERS
    assert time.process_time() - began < 5


def test_an_expression_may_be_nested_as_deeply_as_is_said() -> None:
    depth = MOST_DEPTH - 2
    assert Rendering({}).text("{{ " + "(" * depth + "1" + ")" * depth + " }}") == "1"
    assert Rendering({}).text("{{ 1" + " + 1" * depth + " }}") == str(depth + 1)
    assert Rendering({}).text("{{ 'a' " + "| upper" * depth + " }}") == "A"
    assert Rendering({}).text("{{ " + "-" * depth + "1 }}") == str((-1) ** depth)
    assert Rendering({}).text("{{ " + "not " * (depth - 1) + "true }}") == "false"
    assert Rendering({}).text("{{ " + "[" * depth + "1" + "]" * depth + " }}") == "[" * depth + "1" + "]" * depth


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "for",
        "if",
        "set",
        "endif",
        "endfor",
        "x",
        "inputs",
        ".",
        "..",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "?",
        ":",
        "??",
        "|",
        "~",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "is",
        "not",
        "defined",
        "json",
        "upper",
        "jq('.a')",
        "'t'",
        "1",
        "1.5",
        "null",
        "true",
        ",",
        "in",
        "=",
        "and",
        "or",
        "loop",
        "range(1,3)",
        "render('{{x}}')",
        "\n",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=30).map(" ".join))
@example("{{ x")
@example("{% for x in inputs %}{{ loop.index }}{% endfor %}")
def test_any_text_becomes_text_or_an_error(source: str) -> None:
    assert isinstance(told({"inputs": {"a": [1, "b", None]}, "x": 3}, source), str)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_any_value_passes_through_unchanged(value: str) -> None:
    assert Rendering({"x": value}).text("{{ x }}") == value
    assert Rendering({"x": value}).text("{{ [x] | first }}") == value


_LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES, lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=3), more, max_size=3)
)
_OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "%", "~", "..", "==", "!=", "<", ">=", "contains", "isIn", "and", "or", "??"]
)


@settings(max_examples=400, deadline=None)
@given(_VALUES, _OPERATORS, _VALUES)
@example("\0", "+", 1)
@example("\0", "~", "")
def test_any_operator_on_any_values_makes_text_or_an_error(left: object, operator: str, right: object) -> None:
    assert "\0" not in told({"a": left, "b": right}, f"{{{{ a {operator} b }}}}")
