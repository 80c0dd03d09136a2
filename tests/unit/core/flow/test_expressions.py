"""Expressions mean what Pebble means; whatever is wrong is an error that names the expression."""

# ruff: noqa: E501  (tables)

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from taskrpc.core.flow.expressions.errors import ExpressionError
from taskrpc.core.flow.expressions.rendering import Rendering, check

VARIABLES: Final = {
    "deep": "[" * 100,
    "inputs": {
        "one": 1, "two": 2.5, "text": "Ab c", "none": None, "no": False, "list": [3, 1, 2], "empty": [],
        "map": {"k": "v", "items": 5}, "values": {"count": 3}, "json": '{"a": [1, {"b": "x"}]}', "é": "accent",
    },
    "taskrun": {"value": "v1", "items": "file", "attemptsCount": 3},
    "day": "2024-02-29T13:05:09.123456Z",
    "loops": [{"name": "a"}, {"name": "b"}],
}  # fmt: skip

MEANINGS: Final = [
    # text around, values as text
    ("no expression", "no expression"),
    ("a {{ inputs.one }} b\n", "a 1 b\n"),
    ("{{ true }} {{ null }} {{ inputs.two }} {{ inputs.map }} {{ inputs.list }}", 'true  2.5 {"k":"v","items":5} [3,1,2]'),
    ("{# nothing #}{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
    ("{{ 'it\\'s' }} {{ \"\\n\" }}", "it's \\n"),
    ("a\n  {{- ' b ' -}}  \nc", "a b c"),
    ("{{ 1.5e3 }} {{ 9223372036854775807 }}", "1500.0 9223372036854775807"),
    # looking things up
    ("{{ inputs.values.count }} {{ taskrun.items }} {{ inputs['map']['k'] }}", "3 file v"),
    ("{{ inputs.list[1] }} {{ inputs.list.0 }} {{ inputs.list['2'] }}", "1 3 2"),
    ("{{ {'a': {'b': 1}}.a.b }} {{ [1, [2, 3]][1][0] }} {{ {} }} {{ [] }}", "1 2 {} []"),
    ("{{ inputs.é }}", "accent"),
    # what is absent
    ("{{ inputs.x ?? 'd' }} {{ x.y.z ?? 'd' }} {{ inputs.none ?? 'd' }} {{ inputs.no ?? 'd' }}", "d d d false"),
    ("{{ x ?? y ?? inputs.one }} {{ inputs.x ??? 'd' }} {{ inputs.list[7] ?? 'none' }}", "1 d none"),
    ("{{ x is defined }} {{ inputs.x.y is defined }} {{ inputs.none is defined }} {{ inputs is defined }}", "false false false true"),
    ("{{ x is not defined }} {{ not x is defined }}", "true true"),
    ("{{ x | default('d') }} {{ inputs.x.y | default('d') }} {{ '' | default('d') }} {{ 1 | default(2) }}", "d d d 1"),
    ("{{ (x.y + 1) ?? 'd' }} {{ (x | upper) ?? 'd' }} {{ isBlank(x) }} {{ isBlank(' ') }} {{ isBlank('a') }}", "d d true true false"),
    # how tightly operators bind
    ("{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 7 % 4 + 1 }} {{ -2 * -3 }} {{ +4 }}", "5 9 4 6 4"),
    ("{{ 'a' ~ 'b' | upper }} {{ x ?? 'b' | upper }} {{ 'x' ~ y ?? 'z' }}", "AB B xz"),
    ("{{ 1..3 }} {{ 3..1 }} {{ 'a'..'c' }} {{ 0..1 | length }}", '[1,2,3] [3,2,1] ["a","b","c"] 2'),
    ("{{ not inputs.no == true }} {{ true or false and false }} {{ inputs.one == 1 and inputs.two > 2 }}", "true true true"),
    ("{{ inputs.one + 1 == 2 ? 'y' : 'n' }} {{ inputs.no ? 'y' : x ?? 'n' }} {{ true ? false ? 1 : 2 : 3 }}", "y n 2"),
    ("{{ taskrun.attemptsCount == 3 ? 'ok' : ko }}", "ok"),
    # arithmetic and comparison
    ("{{ 4 / 2 }} {{ 7 / 2 }} {{ -7 / 2 }} {{ 7 / 2.0 }} {{ -7 % 4 }} {{ 1 + 1.5 }}", "2 3 -3 3.5 -3 2.5"),
    ("{{ '1' + 1 }} {{ 1 + '1' }} {{ [1] + [2] }} {{ [1] + 2 }} {{ [1, 2, 1] - 1 }} {{ [1, 2] - [2] }}", "11 11 [1,2] [1,2] [2] [1]"),
    ("{{ true == 1 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ 'a' equals 'a' }} {{ null == null }} {{ 1 != 2 }}", "false true false true true true"),
    ("{{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ [1] == [2] }} {{ [1] == 1 }}", "true false false"),
    ("{{ 1 < 2 }} {{ 'b' > 'a' }} {{ 2 <= 2 }} {{ 2 >= 3 }}", "true true true false"),
    ("{{ 'abc' contains 'b' }} {{ [1, 2] contains [1, 2] }} {{ inputs.map contains 'k' }} {{ null contains 1 }}", "true true true false"),
    ("{{ 2 isIn [1, 2] }} {{ 'b' isIn 'abc' }}", "true true"),
    ("{{ 'k' isIn inputs.map }} {{ 'v' isIn inputs.map }} {{ 'x' isIn inputs.map }}", "true true false"),
    ("{{ 'abc' matches 'a.*' }} {{ 'abc' matches 'b' }}", "true false"),
    ("{{ null ??? 'd' }}{{ inputs.none ??? 'd' }}{{ x.y ??? 'd' }}", "d"),
    ("{{ 1 ~ true ~ null ~ [1] }}", "1true[1]"),
    # tags
    ("{% for x in loops %}{{ loop.index }}{{ x.name }}{{ loop.last ? '' : ',' }}{% endfor %}", "0a,1b"),
    ("{% for e in inputs.map %}{{ e.key }}={{ e.value }};{% endfor %}", "k=v;items=5;"),
    ("{% for x in [] %}{% else %}none{% endfor %}{% for x in null %}{% else %}null{% endfor %}", "nonenull"),
    ("{% for a in [1, 2] %}{% for b in [3, 4] %}{{ loop.index }}{% endfor %}{{ loop.length }}{% endfor %}", "012012"),
    ("{% if inputs.one == 2 %}2{% elseif inputs.one == 1 %}1{% else %}0{% endif %}", "1"),
    ("{% if inputs.no %}2{% elif inputs.none %}1{% else %}0{% endif %}{% if 'x' %}x{% endif %}", "0x"),
    ("{% set n = inputs.one + 1 %}{{ n }}", "2"),
    # tests
    ("{{ 2 is even }} {{ 3 is odd }} {{ null is null }} {{ '' is empty }} {{ {} is empty }} {{ [1] is empty }}", "true true true true true false"),
    ("{{ '[1]' is json }} {{ 'x' is json }} {{ 1 is json }} {{ {} is map }} {{ [] is iterable }} {{ 1 is equalTo(1) }}", "true false false true true true"),
    # text
    ("{{ 'aB' | lower }}{{ 'aB' | upper }} {{ null | lower }}{{ null | upper }}", "abAB "),
    ("{{ 'the end' | capitalize }} {{ 'the end' | title }} [{{ ' a ' | trim }}]", "The end The End [a]"),
    ("{{ 'abcdef' | abbreviate(5) }} {{ 'abc' | abbreviate(5) }} {{ 'abcdef' | abbreviate(2) }}", "ab... abc .."),
    ("{{ 'a-b' | replace({'-': '+'}) }} {{ 'a1b2' | replace({'[0-9]': '#'}, regexp=true) }}", "a+b a#b#"),
    ("{{ 'a.b.c' | substringBefore('.') }} {{ 'a.b.c' | substringBeforeLast('.') }}", "a a.b"),
    ("{{ 'a.b.c' | substringAfter('.') }} {{ 'a.b.c' | substringAfterLast('.') }}{{ 'a' | substringAfterLast('.') }}", "b.c c"),
    ("{{ 'a,b,,' | split(',') }} {{ 'a.b.c' | split('\\.', 2) }} {{ 'a,b,' | split(',', -1) }}", '["a","b"] ["a","b.c"] ["a","b",""]'),
    ("{{ 'Ça va, Bien!' | slugify }}", "ca-va-bien"),
    ("{{ 'a\nb' | indent(2) }}|{{ 'a\nb' | nindent(1) }}", "a\n  b|\n a\n b"),
    ("{{ 'a\nb' | indent(2, '>') }}|{{ 'a\nb' | nindent(1, '-') }}", "a\n>>b|\n-a\n-b"),
    ("{{ 'a1b2' | replace({'([a-z])(x)?(\\d)': '$3\\$$1$2'}, regexp=true) }}", "1$a2$b"),
    ("{{ \"it's\" | escapeChar('single') }} {{ '\"' | escapeChar('double') }} {{ \"'\" | escapeChar('shell') }}", "it\\'s \\\" '\\''"),
    ("{{ render({'a': ['{' ~ '{ 1 + 1 }' ~ '}', 3]}) }}", '{"a":["2",3]}'),
    ("{{ 'Tue, 08 Feb 2022 19:38:26 GMT' | date('yyyy-MM-dd HH:mm', existingFormat='rfc_1123_date_time') }}", "2022-02-08 19:38"),
    ("{{ '2022-02-08T00:00:00.123456Z' | timestampMicro }} {{ '2022-02-08T00:00:00.123456Z' | timestampNano }}", "1644278400123456 1644278400123456000"),
    ("{{ null | date('yyyy') }}{{ null | dateAdd(1, 'DAYS') }}", ""),
    ("{{ yaml('a: [1, 2.5, true, ~, x, \"7\", 2020-01-01]').a }} {{ yaml(null) }}{{ yaml('') }}", '[1,2.5,true,null,"x","7","2020-01-01"] '),
    ("{{ {'a': [1, {'b': 'é'}]} | yaml }}{{ 'x' | yaml }}", "a:\n- 1\n- b: é\nx\n"),
    ("{{ 'abc' | startsWith('a') }} {{ 'abc' | endsWith('a') }}", "true false"),
    ("{{ 'a b&' | urlencode }} {{ 'a+b%26' | urldecode }}", "a+b%26 a b&"),
    ("{{ 'hi' | base64encode }} {{ 'aGk=' | base64decode }}", "aGk= hi"),
    ("{{ 'a' | md5 }} {{ 'a' | sha1 }}", "0cc175b9c0f1b6a831c399e269772661 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("{{ 'a' | sha256 | length }} {{ 'a' | sha512 | length }}", "64 128"),
    # any value
    ("{{ inputs.map | json }} {{ 'a' | toJson }} {{ toJson([1]) }} {{ 1 | string }}", '{"k":"v","items":5} "a" [1] 1'),
    ("{{ '12' | number + 1 }} {{ '1.5' | number }} {{ '7' | number('DOUBLE') }} {{ '7' | number(type='LONG') }}", "13 1.5 7.0 7"),
    ("{{ 1 | className }} {{ 'a' | className }} {{ {} | className }} {{ [] | className }}", "number string map list"),
    ("{{ -2 | abs }} {{ 2.567 | round(1) }} {{ 2.5 | round }} {{ 3.2 | round }}", "2 2.6 2 3"),
    ("{{ 1234.5 | numberFormat('#,##0.00') }} {{ 1234.5 | numberFormat }} {{ 3 | numberFormat('0.##') }} {{ 3 | numberFormat('0') }}", "1,234.50 1,234.5 3 3"),
    # lists and maps
    ("{{ inputs.list | length }} {{ 'abc' | length }} {{ null | length }}", "3 3 0"),
    ("{{ inputs.list | first }} {{ inputs.list | last }} {{ 'abc' | first }}{{ [] | first }}{{ [] | last }}", "3 2 a"),
    ("{{ inputs.list | join(', ') }} {{ inputs.list | sort }} {{ inputs.list | rsort }} {{ inputs.list | reverse }}", "3, 1, 2 [1,2,3] [3,2,1] [2,1,3]"),
    ("{{ inputs.list | slice(1) }} {{ 'abcd' | slice(1, 3) }}", "[1,2] bc"),
    ("{{ inputs.map | keys }} {{ inputs.list | keys }} {{ inputs.map | values }}", '["k","items"] [0,1,2] ["v",5]'),
    ("{{ {'a': 1} | merge({'b': 2}) }} {{ [1] | merge([2]) }}", '{"a":1,"b":2} [1,2]'),
    ("{{ [1, 2, 3] | chunk(2) }} {{ [1, [2, 3]] | flatten }} {{ [1, 2, 1] | distinct }}", "[[1,2],[3]] [1,2,3] [1,2]"),
    ("{{ inputs.json | jq('.a[1].b') | first }} {{ 'plain' | jq('.') }}", 'x ["plain"]'),
    # functions
    ("{{ fromJson(inputs.json).a[0] }} {{ json('[1]')[0] }} {{ fromJson(null) }}", "1 1 "),
    ("{{ max(1, 3, 2) }} {{ min('b', 'a') }} {{ range(1, 3) }} {{ range(0, 4, 2) }}", "3 a [1,2,3] [0,2,4]"),
    ("{{ render('{{ inputs.one }}') }} {{ render(1) }} {{ render('{{ \"{{ inputs.one }}\" }}', recursive=false) }}", "1 1 {{ inputs.one }}"),
    ("{{ render('{{ \"{{ inputs.one }}\" }}') }} {{ render('{ }') }}", "1 { }"),
    ("{{ randomInt(1, 2) }} {{ uuid() | length }} {{ uuid() == uuid() }}", "1 36 false"),
    # dates
    ("{{ now() }}", "2026-01-31T10:00:00.000000Z"),
    ("{{ day | date }} {{ day | date('yyyy/MM/dd HH:mm:ss') }}", "2024-02-29T13:05:09.123456Z 2024/02/29 13:05:09"),
    ("{{ day | date(\"EEE d MMM yy, h:mm a 'o''clock' ''\") }}", "Thu 29 Feb 24, 1:05 PM o'clock '"),
    ("{{ day | date('EEEE MMMM SSS n Q w e D k K G z VV') }}", "Thursday February 123 123456000 1 9 4 60 13 1 AD UTC Z"),
    ("{{ day | date('iso_sec', timeZone='Europe/Paris') }} {{ day | date('XX x xxx Z', 'Asia/Kolkata') }}", "2024-02-29T14:05:09+01:00 +0530 +0530 +05:30 +0530"),
    ("{{ day | date('xX', 'America/New_York') }} {{ day | date('x X') }}", "-05-05 +00 Z"),
    ("{{ 0 | date('yyyy-MM-dd') }} {{ '2024-05-01' | date('dd.MM.yyyy') }}", "1970-01-01 01.05.2024"),
    ("{{ '01.05.24 09:30' | date('iso_sec', existingFormat='dd.MM.yy HH:mm') }}", "2024-05-01T09:30:00Z"),
    ("{{ '1 May 2024' | date('iso_date', existingFormat='d MMMM yyyy') }} {{ '1 Feb' | date('MM', existingFormat='d MMM') }}", "2024-05-01 02"),
    ("{{ dateAdd(day, 1, 'DAYS') }} {{ day | dateAdd(-1, 'HOURS') }}", "2024-03-01T13:05:09.123456Z 2024-02-29T12:05:09.123456Z"),
    ("{{ '2024-01-31' | dateAdd(1, 'MONTHS', format='iso_date') }} {{ day | dateAdd(1, 'YEARS', format='iso_date') }}", "2024-02-29 2025-02-28"),
    ("{{ '2024-12-31' | dateAdd(-1, 'MONTHS', format='iso_date') }} {{ '2024-11-30' | dateAdd(1, 'MONTHS', format='iso_date') }}", "2024-11-30 2024-12-30"),
    ("{{ day | timestamp }} {{ day | timestampMilli }} {{ day | timestampMicro }}", "1709211909 1709211909123 1709211909123456"),
]  # fmt: skip

MISTAKES: Final = [
    ("{{ inputs.x }}", "Unable to find `x` used in the expression `{{ inputs.x }}`"),
    ("{{ x }}", "Unable to find `x`"),
    ("{{ loop }}", "Unable to find `loop`"),
    ("{{ x ? 1 : 2 }}", "Unable to find `x`"),
    ("{% for a in x %}{% endfor %}", "Unable to find `x`"),
    ("{% for a in 1 %}{% endfor %}", "for needs a list or a map, not 1"),
    ("{{ [x] }}", "Unable to find `x`"),
    ("{{ inputs.none.x }}", "Unable to find `x`"),
    ("{{ inputs.text.upper() }}", "methods cannot be called; there is no upper()"),
    ("{{ ''.__class__ }}", "Unable to find `__class__`"),
    ("{{ self }}", "Unable to find `self`"),
    ("{{ 'x' * 3 }}", '* needs a number, not "x"'),
    ("{{ 1 / 0 }}", "divides by zero"),
    ("{{ 1 % 0 }}", "divides by zero"),
    ("{{ 9223372036854775807 + 1 }}", "beyond 64 bits"),
    ("{{ 1e308 * 10 }}", "not finite"),
    ("{{ '%00' | urldecode }}", "makes a NUL used in the expression"),
    ("{{ 1 < 'a' }}", "a comparison needs a number"),
    ("{{ 1 contains 1 }}", "contains needs text, a list or a map"),
    ("{{ 1..'a' }}", "a range goes from"),
    ("{{ 1..1000000 }}", "at most 100000 values"),
    ("{{ range(1, 5, 0) }}", "steps of 1 or more"),
    ("{{ 'a' | nope }}", "there is no filter nope"),
    ("{{ nope('a') }}", "there is no function nope"),
    ("{{ 'a' is nope }}", "there is no test nope"),
    ("{{ 'a' | lower(1, 2) }}", "lower cannot be used so: takes 1 positional argument"),
    ("{{ [1] | sort(1, b=2) }}", "sort cannot be used so"),
    ("{{ a b }}", "line 1:"),
    ("{{ 1 + }}", "a value is expected, not '}}'"),
    ("{{ 1 +", "a value is expected, not 'the end'"),
    ("{{ a.'b' }}", "a name is expected after the dot"),
    ("{{ {% raw %} }}", "a value is expected"),
    ("{% include 'x' %}", "the tag 'include' is not known here"),
    ("{% if true %}", "line 1:"),
    ("{% 1 %}", "line 1:"),
    ("{% set loop = 1 %}", "'loop' cannot be the name of a variable"),
    ("{% set null = 1 %}", "'null' cannot be the name of a variable"),
    ("{{ 'a' | replace('b') }}", "replace needs a map"),
    ("{{ 'a' | replace({'(': 'b'}, true) }}", "is not a regular expression"),
    ("{{ 'a' | split(1) }}", "split needs text, not 1"),
    ("{{ 'a' | indent(100000) }}", "a width from 0 to 10000"),
    ("{{ 'a' | escapeChar('x') }}", "escapeChar knows single, double, shell"),
    ("{{ 'a' | replace({'a': '$1'}, regexp=true) }}", "names a group that there is not"),
    ("{{ yaml('a: &x 1\nb: *x') }}", "has an alias"),
    ("{{ yaml('? [1]\n: 2') }}", "a key that is no text"),
    ("{{ yaml('a: [') }}", "is not YAML"),
    ("{{ yaml(deep) }}", "nested deeper than 64"),
    ("{{ 'a' | indent('x') }}", "indent needs a number"),
    ("{{ 'a' | indent(1.5) }}", "indent needs a whole number"),
    ("{{ '?' | base64decode }}", "is not text in base64"),
    ("{{ 'a' | number }}", "is not a number"),
    ("{{ 1 | numberFormat('€') }}", "numberFormat knows"),
    ("{{ 1 | length }}", "length needs"),
    ("{{ 1 | join }}", "join needs a list"),
    ("{{ [1, 'a'] | sort }}", "a comparison needs a number"),
    ("{{ 1 | slice(1) }}", "slice needs"),
    ("{{ 'abc' | slice(2, 9) }}", "slice goes from 0 to 3"),
    ("{{ 1 | keys }}", "keys needs a map"),
    ("{{ [1] | chunk(0) }}", "chunk needs a size"),
    ("{{ 1 | jq(1) }}", "jq needs text"),
    ("{{ fromJson('x') }}", "is not JSON"),
    ("{{ max() }}", "max needs a value"),
    ("{{ randomInt(2, 2) }}", "randomInt needs a lower bound"),
    ("{{ secret('X') }}", "secret() is not available here"),
    ("{{ 'x' | date }}", '"x" is not a date'),
    ("{{ 1e30 | date }}", "is not a date"),
    ("{{ 0 | date('b') }}", "does not know the letter 'b' in a pattern"),
    ("{{ '1' | date('iso', existingFormat='b') }}", "does not know the letter 'b' in a pattern to read"),
    ("{{ 0 | date('iso', timeZone='Nowhere') }}", "is not a time zone"),
    ("{{ 0 | dateAdd(1, 'AGES') }}", "dateAdd knows"),
    ("{{ 0 | dateAdd(100000000, 'YEARS') }}", "dateAdd goes too far"),
    ("{{ 0 | dateAdd(9000000000000000, 'WEEKS') }}", "dateAdd goes too far"),
]  # fmt: skip


def rendering(**more: Any) -> Rendering:
    return Rendering({**VARIABLES, **more}, now=datetime(2026, 1, 31, 10, tzinfo=UTC), seed="seed")


@pytest.mark.parametrize(("source", "text"), MEANINGS)
def test_an_expression_means_what_it_means_in_pebble(source: str, text: str) -> None:
    assert rendering().text(source) == text


@pytest.mark.parametrize(("source", "problem"), MISTAKES)
def test_a_mistake_is_told_with_the_expression(source: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        rendering().text(source)
    assert problem in str(refused.value)
    assert source in str(refused.value)


def test_a_long_expression_is_shortened_in_its_error() -> None:
    with pytest.raises(ExpressionError) as refused:
        rendering().text("x" * 500 + "{{ x }}")
    assert len(str(refused.value)) < 300


def test_an_error_can_say_where_it_is() -> None:
    error = ExpressionError("is wrong").of("{{ x }}").of("{{ y }}").located("task a, key b")
    assert str(error) == "task a, key b: is wrong used in the expression `{{ x }}`"


def test_a_condition_holds_unless_it_renders_to_nothing_zero_or_false() -> None:
    said = {
        text: rendering().condition(text) for text in ("", " ", "0", "-0", "false", " false ", "FALSE", "no", "0.0")
    }
    assert [text for text, holds in said.items() if holds] == ["FALSE", "no", "0.0"]
    assert rendering().condition("{{ inputs.one == 1 }}") is True


def test_a_document_is_rendered_with_its_keys_and_keeps_what_is_not_text() -> None:
    document = {"{{ inputs.text }}": ["{{ inputs.one }}", 1, None, {"a": True}]}
    assert rendering().document(document) == {"Ab c": ["1", 1, None, {"a": True}]}


def test_the_same_rendering_gives_the_same_again_and_another_seed_another() -> None:
    source = "{{ uuid() }} {{ randomInt(0, 1000000) }} {{ now('yyyy') }}"
    assert rendering().text(source) == rendering().text(source)
    assert Rendering({}, seed="other").text("{{ uuid() }}") != Rendering({}, seed="seed").text("{{ uuid() }}")


def test_what_stands_outside_is_asked_by_name_and_may_be_absent() -> None:
    asked = []

    def outside(*question: Any) -> str:
        asked.append(question)
        return "answer"

    assert Rendering({}, outside=outside).text("{{ kv('key', namespace='n') }}") == "answer"
    assert asked == [("kv", ("key",), {"namespace": "n"})]


def test_a_template_is_checked_without_being_rendered() -> None:
    check("{{ unknown.variable }}")
    check("no template }}")
    with pytest.raises(ExpressionError, match="there is no filter"):
        check("{{ a | nope }}")
