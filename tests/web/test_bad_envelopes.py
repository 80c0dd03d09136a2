"""Requests that are no proper calls: envelopes, methods that do not exist, batches, and headers that do not fit."""

from typing import Any, Final

import pytest

from tests.services import Rpc
from tests.web.target import JSON_TYPE, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHOD: Final = 'it must be a text such as "awf.task/poll"'
UNKNOWN_KEY: Final = "is unknown; a request has method, params, id and jsonrpc"
JSON_RPC: Final = 'jsonrpc must be "2.0", or be left out for the plain form'
CREATE: Final = {"method": "awf.task/create-and-execute", "params": {"definition": "test/batch"}}
POLL: Final = {"method": "awf.task/poll", "params": {"taskDefinitions": ["test/none"]}}

ENVELOPES: Final[list[tuple[Any, str]]] = [
    (17, "a request is a mapping, or a list of them as a batch, not a number"),
    (1.5, "a request is a mapping, or a list of them as a batch, not a number"),
    ("awf.task/poll", "a request is a mapping, or a list of them as a batch, not a text"),
    (None, "a request is a mapping, or a list of them as a batch, not null"),
    (True, "a request is a mapping, or a list of them as a batch, not a boolean"),
    ([], "a batch has 1 to 1000 entries, not 0"),
    ([POLL] * 1001, "a batch has 1 to 1000 entries, not 1001"),
    ({}, f"method is missing; {METHOD}"),
    ({"params": {}}, f"method is missing; {METHOD}"),
    ({"method": None}, f"method is null; {METHOD}"),
    ({"method": ""}, f"method is empty; {METHOD}"),
    ({"method": 7}, f"method is a number; {METHOD}"),
    ({"method": ["awf.task/poll"]}, f"method is a list; {METHOD}"),
    ({"method": {}}, f"method is a mapping; {METHOD}"),
    (POLL | {"params": []}, "params must be a mapping, not a list"),
    (POLL | {"params": "a"}, "params must be a mapping, not a text"),
    (POLL | {"params": 0}, "params must be a mapping, not a number"),
    (POLL | {"params": False}, "params must be a mapping, not a boolean"),
    (POLL | {"param": {}}, f'the key "param" {UNKNOWN_KEY}'),
    (POLL | {"x" * 1000: 1}, f'the key "{"x" * 80}…" {UNKNOWN_KEY}'),
    (POLL | {"id": {}}, "id must be a text, a number or null, not a mapping"),
    (POLL | {"id": [1]}, "id must be a text, a number or null, not a list"),
    (POLL | {"id": True}, "id must be a text, a number or null, not a boolean"),
    (POLL | {"jsonrpc": "1.0"}, JSON_RPC),
    (POLL | {"jsonrpc": 2}, JSON_RPC),
    (POLL | {"jsonrpc": None}, JSON_RPC),
]

METHODS: Final[list[tuple[str, str, list[str]]]] = [
    ("awf.task/pol", "; did you mean awf.task/poll or awf.task/stop or awf.task/long-poll?",
     ["awf.task/poll", "awf.task/stop", "awf.task/long-poll"]),
    ("task/sucess", "; did you mean awf.task/success", ["awf.task/success"]),
    ("awf.task/create", "", []),
    ("definition/lst", "", ["awf.definition/list"]),
    ("AWF.TASK/POLL", "", []),
    ("awf.awf.task/poll", "", ["awf.task/poll"]),
    ("../../etc/passwd", "", []),
    ("awf.task/poll; drop table task", "", []),
    ("__init__", "", []),
    ("%s%n{0}", "", []),
    ("x" * 1_000_000, "", []),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), ENVELOPES)
async def test_an_envelope_that_is_none_is_refused(body: Any, message: str, target: Target) -> None:
    assert await target.refusal(body) == (400, {"type": "invalid-request", "message": message})


@pytest.mark.parametrize(("method", "hint", "similar"), METHODS)
async def test_an_unknown_method_is_answered_with_near_names(
    method: str, hint: str, similar: list[str], target: Target
) -> None:
    status, error = await target.refusal({"method": method})
    assert (status, error["type"]) == (404, "method-not-found")
    assert error["message"].startswith(f"There is no method {method[:100]!r}{hint}")
    assert set(similar) <= set(error["data"]["similar"])
    assert len(error["data"]["similar"]) <= 3


@pytest.mark.parametrize("bad", [{}, 17, None, [POLL], {"method": "x"}, POLL | {"params": {}}])
async def test_a_bad_entry_of_a_batch_affects_no_other(bad: Any, target: Target) -> None:
    create = {"method": "awf.task/create-and-execute", "params": {"definition": "test/task", "id": "ready"}}
    async with target.unharmed():
        reply = await target.rpc.post([POLL, bad, create, {"method": "awf.task/status", "params": {"id": "ready"}}])
    polled, refused, taken, status = reply.body
    assert reply.status == 200
    assert polled == {"result": {"resources": []}}
    assert refused["error"]["type"] in ("invalid-request", "method-not-found", "invalid-params")
    assert taken["error"]["type"] == "task-already-exists"
    assert status["result"]["resource"]["id"] == "ready"


async def test_a_thousand_entries_are_a_batch(target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.post([POLL] * 1000)
    assert (reply.status, reply.body) == (200, [{"result": {"resources": []}}] * 1000)


async def test_entries_that_all_are_bad_are_answered_one_by_one(target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.post([{"method": "x", "id": n} for n in range(1000)])
    assert reply.status == 200
    assert [(answer["id"], answer["error"]["type"]) for answer in reply.body] == [
        (n, "method-not-found") for n in range(1000)
    ]


UNDERSTOOD: Final = ["application/json", "text/yaml", "application/yaml", "application/x-yaml", "text/x-yaml"]
POLL_BYTES: Final = b'{"method": "awf.task/poll", "params": {"taskDefinitions": ["test/none"]}}'


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "json",
    "*/*", "application/json+x", "application/jsonx", "é", ";", "x" * 5000,
])  # fmt: skip
async def test_a_content_type_that_is_not_understood_is_refused(content_type: str, target: Target) -> None:
    reply = await target.answer(POLL_BYTES, {"content-type": content_type.encode("latin-1")})
    assert (reply.status, reply.error["type"]) == (415, "unsupported-media-type")
    assert reply.error["data"] == {"understood": UNDERSTOOD}
    assert len(reply.error["message"]) < 300


async def test_a_charset_other_than_utf_8_is_refused(target: Target) -> None:
    reply = await target.answer(POLL_BYTES, {"content-type": "application/json; charset=latin-1"})
    assert (reply.status, reply.error) == (415, {
        "type": "unsupported-media-type",
        "message": "the charset latin-1 is not understood; send utf-8",
        "data": {"understood": UNDERSTOOD},
    })  # fmt: skip


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "x"])
async def test_a_content_encoding_is_refused(encoding: str, target: Target) -> None:
    reply = await target.answer(POLL_BYTES, JSON_TYPE | {"content-encoding": encoding})
    assert (reply.status, reply.error) == (415, {
        "type": "unsupported-media-type",
        "message": "Encodings of the body are not understood; send it as it is",
    })  # fmt: skip


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "*/*;q=0", "text/*;q=0.0"])
async def test_an_accept_that_admits_nothing_is_refused(accept: str, target: Target) -> None:
    reply = await target.answer(POLL_BYTES, JSON_TYPE | {"accept": accept})
    assert (reply.status, reply.error) == (406, {
        "type": "not-acceptable",
        "message": f"none of {accept} can be answered; accept one of {', '.join(UNDERSTOOD)}",
        "data": {"understood": UNDERSTOOD},
    })  # fmt: skip


@pytest.mark.parametrize("accept", ["", ",", ";;;", "json", "q=1", "/", "a/b/c", "\xff", "," * 5000])
async def test_an_accept_that_says_nothing_is_passed_over(accept: str, target: Target) -> None:
    headers = JSON_TYPE | {"accept": accept.encode("latin-1")}
    reply = await target.answer(POLL_BYTES, headers)
    assert (reply.status, reply.result) == (200, {"resources": []})


@pytest.mark.parametrize("code", [
    ({"method": "nothing"}, -32601),
    ({"method": 1}, -32600),
    ({"method": "awf.task/poll", "params": {}}, -32602),
    ({"method": "awf.task/poll", "params": ["a"]}, -32602),
    ({"method": "awf.task/poll", "params": 1}, -32600),
    ({"method": "awf.task/status", "params": {"id": "nobody"}}, -32000),
    ({"method": "awf.task/poll", "further": 1}, -32600),
])  # fmt: skip
async def test_the_strict_form_answers_with_the_codes_of_json_rpc(code: tuple[Any, int], target: Target) -> None:
    call, expected = code
    async with target.unharmed():
        reply = await target.rpc.post({"jsonrpc": "2.0", "id": "x"} | call)
    assert (reply.status, reply.body["id"], reply.error["code"]) == (200, "x", expected)
    assert set(reply.error) == {"code", "message", "data"}


async def test_stray_entries_next_to_strict_ones_are_answered_strictly(target: Target) -> None:
    async with target.unharmed():
        reply = await target.rpc.post([1, {"jsonrpc": "2.0", **POLL, "id": 1}])
    message = "an entry of a batch is a mapping, not a number"
    assert reply.body == [
        {"jsonrpc": "2.0", "id": None, "error": {
            "code": -32600, "message": message, "data": {"type": "invalid-request"},
        }},
        {"jsonrpc": "2.0", "id": 1, "result": {"resources": []}},
    ]  # fmt: skip


async def test_what_comes_in_yaml_is_refused_in_yaml(target: Target) -> None:
    async with target.unharmed(), Rpc(target.server.url, "yaml") as rpc:
        reply = await rpc.post({"method": 1})
    assert reply.headers["content-type"] == "text/yaml; charset=utf-8"
    assert (reply.status, reply.error) == (400, {"type": "invalid-request", "message": f"method is a number; {METHOD}"})
