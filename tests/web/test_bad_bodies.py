"""Bodies that cannot be read, are not allowed, or are too large: broken, hostile, in JSON and in YAML."""

from typing import Any, Final

import pytest

from tests.web.target import JSON_TYPE, YAML_TYPE, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB: Final = 2**20
NUL: Final = "a text holds the character U+0000, which cannot be stored"
TOO_DEEP: Final = "the body is nested deeper than 64 levels"
EMPTY: Final = "the body is empty; send a mapping with a method and, if it takes any, its params"
TWICE: Final = 'the key "method" occurs twice in one mapping'
NO_JSON: Final = "the body cannot be read as JSON: "
NO_YAML: Final = "the body cannot be read as YAML: "


def too_far(integer: str) -> str:
    return f"the integer {integer} is outside -2^63 to 2^64-1; send it as text"


# name, body, message, its place: None where there is none
JSON_BODIES: Final[list[tuple[str, bytes, str, tuple[int, int] | None]]] = [
    ("nothing", b"", EMPTY, None),
    ("white space", b" \r\n\t ", EMPTY, None),
    ("a duplicate key", b'{"method": "a", "method": "b"}', TWICE, (1, 17)),
    ("a duplicate key behind an escape", rb'{"method": "a", "\u006dethod": "b"}', TWICE, (1, 17)),
    ("a duplicate key in params", b'{"params": {"id": 1,\n "id": 1}}', TWICE.replace("method", "id"), (2, 2)),
    ("NUL in a text", rb'{"method": "a\u0000b"}', NUL, (1, 14)),
    ("NUL in a key", rb'{"\u0000": 1}', NUL, (1, 3)),
    ("a large integer", b'{"id": 18446744073709551616}', too_far("18446744073709551616"), (1, 8)),
    ("a low integer", b'{"id": -9223372036854775809}', too_far("-9223372036854775809"), (1, 8)),
    ("65 levels", b"[" * 65 + b"]" * 65, TOO_DEEP, (1, 65)),
    ("65 levels of mappings", b'{"a":' * 65 + b"1" + b"}" * 65, TOO_DEEP, (1, 321)),
    ("100,000 open lists", b"[" * 100_000, TOO_DEEP, (1, 65)),
    ("100,000 open mappings", b'{"a":' * 100_000, TOO_DEEP, (1, 321)),
    ("no UTF-8", b'{"method": "\xff"}', "the body is not UTF-8: invalid start byte", (1, 13)),
    ("Latin-1", '{"method": "é"}'.encode("latin-1"), "the body is not UTF-8: invalid continuation byte", (1, 13)),
    ("an encoded surrogate", b'"\xed\xa0\x80"', "the body is not UTF-8: invalid continuation byte", (1, 2)),
    ("an overlong NUL", b'"\xc0\x80"', "the body is not UTF-8: invalid start byte", (1, 2)),
    ("UTF-16", '{"method": "a"}'.encode("utf-16"), "the body is not UTF-8: invalid start byte", (1, 1)),
]

# name, body, where the parser stops; what it says is its own matter
BROKEN_JSON: Final = [
    ("half a mapping", b'{"method": "awf.task/poll"', (1, 27)),
    ("half a text", b'{"method": "awf.task', (1, 21)),
    ("a trailing comma", b'{"method": "a",}', (1, 15)),
    ("an integer of 5000 digits", b"[" + b"9" * 5000 + b"]", (1, 2)),
    ("single quotes", b"{'method': 'a'}", (1, 2)),
    ("a bare word", b"{method: a}", (1, 2)),
    ("a comment", b'{"method": "a"} // all', (1, 17)),
    ("two documents", b'{"method": "a"}\n{"method": "b"}', (2, 1)),
    ("NaN", b'{"id": NaN}', (1, 8)),
    ("Infinity", b'{"id": Infinity}', (1, 8)),
    ("-Infinity", b'{"id": -Infinity}', (1, 9)),
    ("a leading zero", b'{"id": 01}', (1, 8)),
    ("a leading plus", b'{"id": +1}', (1, 8)),
    ("hexadecimal", b'{"id": 0x10}', (1, 9)),
    ("True", b'{"id": True}', (1, 8)),
    ("a line break in a text", b'{"method": "a\nb"}', (1, 14)),
    ("a NUL byte", b'{"method": "a\0b"}', (1, 14)),
    ("a lone high surrogate", rb'{"method": "\ud800"}', (1, 13)),
    ("a lone low surrogate", rb'{"method": "\udc00"}', (1, 13)),
    ("surrogates the wrong way round", rb'{"method": "\udc00\ud800"}', (1, 13)),
    ("an unknown escape", rb'{"method": "\x41"}', (1, 13)),
    ("a byte order mark", b'\xef\xbb\xbf{"method": "a"}', (1, 1)),
    ("YAML", b"method: awf.task/poll", (1, 1)),
    ("HTML", b"<html></html>", (1, 1)),
    ("gzip without saying so", b"\x1f\x8b\x08\x00", None),
]

ALIAS_BOMB: Final = b"\n".join(
    [b"a0: &a0 [lol]"] + [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)]
)
YAML_BODIES: Final[list[tuple[str, bytes, str, tuple[int, int] | None]]] = [
    ("nothing", b"", EMPTY, None),
    ("a comment alone", b"# nothing\n", EMPTY, None),
    ("a mark of a document alone", b"---\n", EMPTY, None),
    ("an anchor", b"method: &m awf.task/poll", "anchors are not allowed, but here is &m", (1, 9)),
    ("an alias", b"method: *m", "aliases are not allowed, but here is *m", (1, 9)),
    ("an alias bomb", ALIAS_BOMB, "anchors are not allowed, but here is &a0", (1, 5)),
    ("a merge key", b"params:\n  <<: *defaults", "aliases are not allowed, but here is *defaults", (2, 7)),
    ("a tag of Python", b"method: !!python/object/apply:os.system [ls]",
     "tags are not allowed, but here is tag:yaml.org,2002:python/object/apply:os.system", (1, 9)),
    ("a tag of its own", b"method: !secret a", "tags are not allowed, but here is !secret", (1, 9)),
    ("binary", b"id: !!binary aGk=", "tags are not allowed, but here is tag:yaml.org,2002:binary", (1, 5)),
    ("a set", b"!!set {a, b}", "tags are not allowed, but here is tag:yaml.org,2002:set", (1, 1)),
    ("a duplicate key", b"method: a\nmethod: b", TWICE, (2, 1)),
    ("a duplicate key in other quotes", b"{method: a, 'method': b}", TWICE, (1, 13)),
    ("two documents", b"method: a\n---\nmethod: b", "a body is one document; a batch is a list", (2, 1)),
    ("a list as a key", b"? [a, b]\n: 1", "a key is a list or a mapping, but must be text", (1, 3)),
    ("a large integer", b"id: 18446744073709551616", too_far("18446744073709551616"), (1, 5)),
    ("a large float", b"id: 1e400", "the number 1e400 is too large for a float; send it as text", (1, 5)),
    ("an escaped NUL", rb'method: "a\0b"', NUL, (1, 9)),
    ("65 levels", b"[" * 65 + b"]" * 65, TOO_DEEP, (1, 65)),
    ("100,000 open lists", b"[" * 100_000, TOO_DEEP, (1, 65)),
    ("300 nested blocks", b"\n".join(b" " * n + b"a:" for n in range(300)), TOO_DEEP, (65, 65)),
    ("no UTF-8", b"method: \xff", "the body is not UTF-8: invalid start byte", (1, 9)),
    ("UTF-16", "method: a".encode("utf-16"), "the body is not UTF-8: invalid start byte", (1, 1)),
]  # fmt: skip

BROKEN_YAML: Final = [
    ("an open list", b"params: [a, b", (2, 1)),
    ("a tab as indentation", b"params:\n\tid: a", (2, 1)),
    ("a colon too many", b"method: a: b", (1, 10)),
    ("a wrong indentation", b"params:\n    a: 1\n  b: 2", (3, 3)),
    ("an unknown escape", rb'method: "\q"', (1, 10)),
    ("an open text", b'method: "a', (1, 11)),
    ("a future version", b"%YAML 3.0\n---\nmethod: a", (1, 1)),
    ("an at sign", b"method: @a", (1, 9)),
]


def unparsable(message: str, place: tuple[int, int] | None) -> dict[str, Any]:
    if place is None:
        return {"type": "unparsable-body", "message": message}
    line, column = place
    return {
        "type": "unparsable-body",
        "message": f"{message} (line {line}, column {column})",
        "data": {"line": line, "column": column},
    }


@pytest.mark.parametrize(
    ("headers", "body", "message", "place"),
    [
        *(pytest.param(JSON_TYPE, *case, id=f"JSON: {name}") for name, *case in JSON_BODIES),
        *(pytest.param(YAML_TYPE, *case, id=f"YAML: {name}") for name, *case in YAML_BODIES),
    ],
)
async def test_a_body_that_is_not_allowed_is_refused_with_its_place(
    headers: dict[str, str], body: bytes, message: str, place: tuple[int, int] | None, target: Target
) -> None:
    reply = await target.answer(body, headers)
    assert (reply.status, reply.error) == (400, unparsable(message, place))


@pytest.mark.parametrize(
    ("headers", "start", "body", "place"),
    [
        *(pytest.param(JSON_TYPE, NO_JSON, *case, id=f"JSON: {name}") for name, *case in BROKEN_JSON),
        *(pytest.param(YAML_TYPE, NO_YAML, *case, id=f"YAML: {name}") for name, *case in BROKEN_YAML),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_with_its_place(
    headers: dict[str, str], start: str, body: bytes, place: tuple[int, int] | None, target: Target
) -> None:
    reply = await target.answer(body, headers)
    assert (reply.status, reply.error["type"]) == (400, "unparsable-body")
    if place is not None:
        line, column = place
        assert reply.error["data"] == {"line": line, "column": column}
        assert reply.error["message"].startswith(start)
        assert reply.error["message"].endswith(f" (line {line}, column {column})")


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


POLL_JSON: Final = b'{"method": "awf.task/poll", "params": {"taskDefinitions": []}}'
POLL_YAML: Final = b"method: awf.task/poll\nparams: {taskDefinitions: []}\n"


@pytest.mark.parametrize(
    ("headers", "body", "limit"), [(JSON_TYPE, POLL_JSON, 8 * MIB), (YAML_TYPE, POLL_YAML, MIB)], ids=["JSON", "YAML"]
)
async def test_a_body_as_large_as_the_limit_is_read(
    headers: dict[str, str], body: bytes, limit: int, target: Target
) -> None:
    reply = await target.answer(padded(body, limit), headers)
    assert (reply.status, reply.result) == (200, {"resources": []})


@pytest.mark.parametrize(
    ("headers", "body", "limit"), [(JSON_TYPE, POLL_JSON, 8 * MIB), (YAML_TYPE, POLL_YAML, MIB)], ids=["JSON", "YAML"]
)
async def test_a_body_one_byte_larger_is_refused_and_the_connection_closed(
    headers: dict[str, str], body: bytes, limit: int, target: Target
) -> None:
    reply = await target.answer(padded(body, limit + 1), headers)
    assert reply.status == 413
    assert reply.error == {
        "type": "body-too-large",
        "message": f"The body is larger than {limit} bytes",
        "data": {"limit": limit},
    }
    assert reply.headers["connection"] == "close"
