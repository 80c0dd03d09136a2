"""Inputs are read by their types, checked by their rules, filled in by their defaults."""

from typing import Any, Final

import pytest

from taskrpc.core.flow.durations import instant, moment, parse_duration
from taskrpc.core.flow.expressions.rendering import Rendering
from taskrpc.core.flow.inputs import InvalidInputError, read_value, resolve_inputs
from tests.unit.core.flow.flows import flow_of

RIGHT: Final[list[tuple[str, Any, dict[str, Any], Any]]] = [
    ("STRING", "a", {}, "a"),
    ("STRING", 1, {}, "1"),
    ("STRING", True, {}, "true"),
    ("STRING", {"value": "x"}, {}, '{"value":"x"}'),
    ("STRING", "abc", {"validator": "[a-c]+"}, "abc"),
    ("EMAIL", "a@b.co", {}, "a@b.co"),
    ("URI", "https://x/y", {}, "https://x/y"),
    ("INT", "12", {"min": 12, "max": 12}, 12),
    ("INT", 12.0, {}, 12),
    ("FLOAT", "1.5", {}, 1.5),
    ("BOOL", "True", {}, True),
    ("BOOLEAN", False, {}, False),
    ("DATE", "2026-01-31", {"after": "2026-01-31", "before": "2026-02-01"}, "2026-01-31"),
    ("TIME", "10:30", {"after": "09:00:00"}, "10:30:00"),
    ("DATETIME", "2026-01-31T12:00:00+02:00", {}, "2026-01-31T10:00:00Z"),
    ("DATETIME", "2026-01-31T12:00:00", {}, "2026-01-31T12:00:00Z"),
    ("DURATION", "PT5M", {"min": "PT1M", "max": "PT1H"}, "PT5M"),
    ("SELECT", "a", {"values": ["a", "b"]}, "a"),
    ("ENUM", 1, {"values": [1, 2]}, "1"),
    ("SELECT", "c", {"values": ["a"], "allowCustomValue": True}, "c"),
    ("SELECT", "c", {"values": ["a"], "optional": True}, "c"),
    ("SELECT", "b", {"values": '["a", "b"]'}, "b"),
    ("MULTISELECT", ["a", "b"], {"options": ["a", "b"]}, ["a", "b"]),
    ("MULTISELECT", '["a"]', {"values": ["a", "b"]}, ["a"]),
    ("ARRAY", "[1, 2]", {"itemType": "STRING"}, ["1", "2"]),
    ("ARRAY", [1], {"itemType": "INT"}, [1]),
    ("ARRAY", ["one", 2], {}, ["one", 2]),
    ("YAML", "some: property\nlist:\n- of\n- values", {}, {"some": "property", "list": ["of", "values"]}),
    ("JSON", '{"a": 1}', {}, {"a": 1}),
    ("YAML", {"a": 1}, {}, {"a": 1}),
    ("FILE", "kestra:///x.csv", {"allowedFileExtensions": [".csv"]}, "kestra:///x.csv"),
    ("FILE", "kestra:///x.csv", {"allowedFileExtensions": ".csv"}, "kestra:///x.csv"),
    ("SECRET", "s", {}, "s"),
    ("INT", None, {}, None),
]

WRONG: Final[list[tuple[str, Any, dict[str, Any], str]]] = [
    ("STRING", "xyz", {"validator": "[a-c]+"}, '"xyz" does not match "[a-c]+"'),
    ("STRING", "x", {"validator": "("}, "is no regular expression"),
    ("EMAIL", "a@b@c", {}, "is not an address like"),
    ("URI", "x/y", {}, "is not a URI with its scheme"),
    ("INT", "1.5", {}, '"1.5" is not a whole number'),
    ("INT", 1.5, {}, "1.5 is not a whole number"),
    ("INT", True, {}, "true is not a whole number"),
    ("INT", "9" * 50, {}, "is not a whole number"),
    ("INT", 1, {"min": 2}, '"1" is less than 2'),
    ("INT", 3, {"max": 2}, '"3" is more than 2'),
    ("FLOAT", "nan", {}, '"nan" is not a number'),
    ("BOOL", "yes", {}, '"yes" is not true or false'),
    ("DATE", "31.1.2026", {}, "is not a date like"),
    ("DATE", "2026-01-31", {"after": "2026-02-01"}, "is less than"),
    ("TIME", "25:00", {}, "is not a time like"),
    ("DATETIME", "today", {}, "is not a time like"),
    ("DURATION", "5 minutes", {}, "is not a duration like"),
    ("SELECT", "c", {"values": ["a", "b"]}, '"c" is none of a, b'),
    ("MULTISELECT", ["a", "c"], {"values": ["a", "b"]}, '"c" is none of a, b'),
    ("MULTISELECT", "x", {"values": ["a"]}, "is not a list"),
    ("ARRAY", {"a": 1}, {}, "is not a list"),
    ("YAML", "a: [", {}, "is not YAML"),
    ("ARRAY", ["x"], {"itemType": "INT"}, '"x" is not a whole number'),
    ("JSON", "{", {}, "is not JSON"),
    ("FILE", "x.csv", {}, "is not the URI of a stored file"),
    ("FILE", "kestra:///x.txt", {"allowedFileExtensions": [".csv"]}, "ends with none of .csv"),
]


@pytest.mark.parametrize(("type", "given", "rules", "read"), RIGHT)
def test_a_value_is_read_by_its_type(type: str, given: Any, rules: dict[str, Any], read: Any) -> None:
    found = read_value(type, given, rules)
    assert found == read
    assert found.__class__ is read.__class__


@pytest.mark.parametrize(("type", "given", "rules", "problem"), WRONG)
def test_a_value_that_does_not_fit_is_refused(type: str, given: Any, rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_value(type, given, rules)
    assert problem in str(refused.value)


DECLARED: Final = flow_of(
    """
    tasks: [{id: x, type: core.debug.Return}]
    inputs:
      - {id: name, type: STRING}
      - {id: count, type: INT, defaults: "{{ 1 + 1 }}"}
      - {id: twice, type: INT, defaults: "{{ inputs.count * 2 }}"}
      - {id: color, type: SELECT, values: [red, blue], autoSelectFirst: true}
      - {id: shade, type: SELECT, expression: "{{ ['dark', 'light'] }}", required: false}
      - {id: note, type: STRING, required: false}
      - {id: about, type: STRING, dependsOn: {inputs: note}}
      - {id: reason, type: STRING, dependsOn: {inputs: [name], condition: "{{ inputs.name == 'x' }}"}}
    """
).inputs


def resolved(**given: Any) -> dict[str, Any]:
    return resolve_inputs(DECLARED, given, lambda values: Rendering({"inputs": values}))


def test_what_is_not_given_has_its_default() -> None:
    assert resolved(name="n") == {"name": "n", "count": 2, "twice": 4, "color": "red", "shade": None, "note": None}


def test_an_input_depends_on_others() -> None:
    assert resolved(name="x", note="n", about="a", reason="r", count=5, more=1)["twice"] == 10
    with pytest.raises(InvalidInputError) as refused:
        resolved(name="x", note="n")
    assert [id for id, _ in refused.value.mistakes] == ["about", "reason"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as refused:
        resolved(count="many")
    assert str(refused.value).startswith("input name: is required; give a value for it; input count: ")


@pytest.mark.parametrize(
    ("type", "given", "rules", "problem"),
    [
        ("INT", "9" * 30, {}, "has a number beyond 64 bits"),
        ("INT", 1e308, {}, "has a number beyond 64 bits"),
        ("ARRAY", ["9" * 30], {"itemType": "INT"}, "has a number beyond 64 bits"),
        ("JSON", '{"a": ["\\u0000"]}', {}, "has a NUL, which cannot be stored"),
        ("JSON", '{"\\u0000": 1}', {}, "has a NUL, which cannot be stored"),
        ("YAML", '"\\0"', {}, "has a NUL, which cannot be stored"),
        ("JSON", "[" * 66 + "]" * 66, {}, "is nested more than 64 levels deep"),
        ("ARRAY", "[" * 900 + "]" * 900, {"itemType": "INT"}, "is nested more than 64 levels deep"),
        ("DATETIME", "0001-01-01T00:00:00+14:00", {}, "is not a time like 2026-01-31T10:30:00Z"),
        ("DATETIME", "9999-12-31T23:59:59-14:00", {}, "is not a time like 2026-01-31T10:30:00Z"),
        ("TIME", "10:00:00Z", {"after": "09:00:00"}, "cannot be compared: of it and its bounds, some have an offset"),
        ("SELECT", "5", {"values": "5"}, "its choices are a list, not 5"),
        ("FLOAT", float("inf"), {}, "is not a number"),
        ("JSON", [float("nan")], {}, "has a number that is not finite"),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused(type: str, given: Any, rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        read_value(type, given, rules)


def test_what_is_given_besides_is_kept_too_and_has_to_be_storable() -> None:
    with pytest.raises(InvalidInputError) as refused:
        resolved(**{"name": "n", "other": ["\0"], "an\0other": 1})
    assert [id for id, _ in refused.value.mistakes] == ["other", "an?other"]


def test_choices_that_cannot_be_read_are_a_mistake_of_the_input() -> None:
    for choices in ("{{ 5 }}", "{{ 'x' }}"):
        declared = flow_of(
            """
            id: f
            namespace: n
            tasks: [{id: t, type: core.log.Log, message: x}]
            inputs: [{id: color, type: SELECT, autoSelectFirst: true, expression: EXPRESSION}]
            """.replace("EXPRESSION", f'"{choices}"')
        ).inputs
        with pytest.raises(InvalidInputError, match="its choices"):
            resolve_inputs(declared, {}, lambda values: Rendering({"inputs": values}))


def test_durations_are_microseconds() -> None:
    assert [parse_duration(text) for text in ("PT0.25S", "P1DT2H", "pt1m", "P1W", "PT0S")] == [
        250_000, 93_600_000_000, 60_000_000, 604_800_000_000, 0,
    ]  # fmt: skip
    for text in ("", "P", "PT", "1S", "PT-1S", "P1M"):
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(text)


def test_times_are_shown_with_as_much_fraction_as_they_have() -> None:
    shown = [instant(each) for each in (0, 250_000, 250_001)]
    assert shown == ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.250Z", "1970-01-01T00:00:00.250001Z"]
    assert moment(0).tzinfo is not None
