"""HTTP requests to a server that tells what it was asked."""

import asyncio
import contextlib
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.leaves.conftest import Bench
from tests.system.waiting import until

TYPE = "core.http.Request"


async def echo(request: Request) -> Response:
    body = await request.body()
    told = {
        "method": request.method,
        "query": request.query_params.multi_items(),
        "body": body.decode("utf-8", "replace"),
        "headers": dict(request.headers),
    }
    return JSONResponse(told, headers={"x-twice": "1"})


async def count(request: Request) -> Response:
    return Response(str(sum([len(piece) async for piece in request.stream()])), media_type="text/plain")


async def status(request: Request) -> Response:
    return Response("that is why", request.path_params["code"])


async def large(request: Request) -> Response:
    return Response(b"x" * int(request.query_params["size"]), media_type="text/plain")


async def latin(_: Request) -> Response:
    return Response("größe".encode("latin-1"), media_type="text/plain; charset=iso-8859-1")


async def binary(_: Request) -> Response:
    return Response(b"\x00\xff", media_type="application/octet-stream")


async def packed(request: Request) -> Response:
    coding, name = request.query_params["coding"], request.query_params["name"]
    return Response(PACKED[coding], headers={"content-encoding": name, "content-type": "text/plain"})


async def named(request: Request) -> Response:
    return Response("größe".encode(), headers={"content-type": f"text/plain; charset={request.query_params['name']}"})


async def away(_: Request) -> Response:
    return RedirectResponse("/echo?moved=1")


async def never(_: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]
ROUTES = [
    Route("/echo", echo, methods=METHODS),
    Route("/status/{code:int}", status, methods=METHODS),
    Route("/count", count, methods=METHODS),
    *(Route(f"/{each.__name__}", each) for each in (large, latin, binary, packed, named, away, never)),
]


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": gzip.compress(b"hello"),
    "deflate": zlib.compress(b"hello"),
    "raw-deflate": raw_deflate(b"hello"),
    "bomb": gzip.compress(bytes(2**30)),
    "broken": gzip.compress(b"hello" * 1000)[:30] + b"\xff" * 30,
}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of the other side."""
    config = uvicorn.Config(Starlette(routes=ROUTES), port=0, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment]
    task = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.force_exit = server.should_exit = True
    await task


async def told(bench: Bench, url: str, **properties: Any) -> Any:
    outputs = await bench.outputs(TYPE, uri=f"{url}/echo", **properties)
    assert (outputs["code"], outputs["uri"].partition("?")[0]) == (200, f"{url}/echo")
    return json.loads(outputs["body"])


async def test_a_request_is_a_get_by_default(bench: Bench, url: str) -> None:
    outputs = await bench.outputs(TYPE, uri=f"{url}/echo?a=1", params={"b": 2, "c": "d e"}, headers={"X-Own": "yes"})
    seen = json.loads(outputs["body"])
    assert (seen["method"], seen["query"]) == ("GET", [["a", "1"], ["b", "2"], ["c", "d e"]])
    assert (seen["headers"]["x-own"], "content-type" in seen["headers"]) == ("yes", False)
    assert outputs["headers"]["x-twice"] == ["1"]
    assert set(outputs) == {"uri", "code", "headers", "body"}


async def test_a_body_is_json_unless_something_else_is_said(bench: Bench, url: str) -> None:
    seen = await told(bench, url, method="post", body='{"a": 1}')
    assert (seen["method"], seen["body"], seen["headers"]["content-type"]) == ("POST", '{"a": 1}', "application/json")
    seen = await told(bench, url, method="PUT", body="ä", contentType="text/plain")
    assert (seen["body"], seen["headers"]["content-type"]) == ("ä", "text/plain")
    seen = await told(bench, url, method="PATCH", body={"a": [1]}, headers={"Content-Type": "application/x"})
    assert (seen["body"], seen["headers"]["content-type"]) == ('{"a":[1]}', "application/x")


async def test_forms_are_sent_urlencoded_or_with_files(bench: Bench, url: str) -> None:
    seen = await told(bench, url, method="POST", formData={"a": "b c", "n": 1, "t": True})
    assert seen["body"] == "a=b+c&n=1&t=true"
    stored = await bench.store("e/data.csv", b"1,2")
    form = {"file": stored, "other": {"name": "x.csv", "content": stored}, "field": "value"}
    seen = await told(bench, url, method="POST", contentType="multipart/form-data", formData=form)
    assert 'name="file"; filename="data.csv"' in seen["body"]
    assert 'name="other"; filename="x.csv"' in seen["body"]
    assert seen["body"].count("1,2") == 2
    assert 'name="field"\r\n\r\nvalue' in seen["body"]
    error = await bench.error(TYPE, uri=f"{url}/echo", formData={"a": {"content": "x"}})
    assert error["message"].startswith("formData.a: text is expected")


async def test_credentials_are_sent(bench: Bench, url: str) -> None:
    basic = {"auth": {"type": "BASIC", "username": "u", "password": "p"}}
    for options in (basic, {"basicAuthUser": "u", "basicAuthPassword": "p"}):
        assert (await told(bench, url, options=options))["headers"]["authorization"] == "Basic dTpw"
    bearer = {"auth": {"type": "BEARER", "token": "t"}}
    assert (await told(bench, url, options=bearer))["headers"]["authorization"] == "Bearer t"


@pytest.mark.parametrize("code", [400, 404, 500, 503])
async def test_a_bad_code_fails_unless_it_is_allowed(bench: Bench, url: str, code: int) -> None:
    uri = f"{url}/status/{code}"
    error = await bench.error(TYPE, uri=uri)
    assert (error["type"], error["message"]) == ("http-status", f"GET {uri} answered {code}")
    assert error["data"] == {"code": code, "body": "that is why"}
    for options in ({"allowFailed": True}, {"allowFailed": "true"}, {"allowedResponseCodes": [code]}):
        outputs = await bench.outputs(TYPE, uri=uri, options=options)
        assert (outputs["code"], outputs["body"]) == (code, "that is why")


async def test_a_code_that_is_not_among_the_allowed_fails(bench: Bench, url: str) -> None:
    error = await bench.error(TYPE, uri=f"{url}/status/201", options={"allowedResponseCodes": [200]})
    assert error["type"] == "http-status"


async def test_redirects_are_followed_unless_it_is_said_not_to(bench: Bench, url: str) -> None:
    assert (await bench.outputs(TYPE, uri=f"{url}/away"))["uri"] == f"{url}/echo?moved=1"
    assert (await bench.outputs(TYPE, uri=f"{url}/away", options={"followRedirects": False}))["code"] == 307


async def test_texts_of_other_charsets_are_read_and_what_is_no_text_is_refused(bench: Bench, url: str) -> None:
    assert (await bench.outputs(TYPE, uri=f"{url}/latin"))["body"] == "größe"
    assert (await bench.error(TYPE, uri=f"{url}/binary"))["type"] == "response-not-text"


async def test_an_answer_has_a_size(bench: Bench, url: str) -> None:
    assert len((await bench.outputs(TYPE, uri=f"{url}/large?size=8000000"))["body"]) == 8_000_000
    error = await bench.error(TYPE, uri=f"{url}/large?size=19000001")
    assert error["type"] == "response-too-large"


@pytest.mark.parametrize(
    ("properties", "type"),
    [
        ({"timeout": "PT0.3S"}, "timeout"),
        ({"options": {"readTimeout": "PT0.3S"}}, "http-request-failed"),
        ({"options": {"timeout": {"readIdleTimeout": "PT0.3S"}}}, "http-request-failed"),
    ],
)
async def test_an_answer_that_does_not_come_is_not_waited_for(
    bench: Bench, url: str, properties: dict[str, Any], type: str
) -> None:
    assert (await bench.error(TYPE, uri=f"{url}/never", **properties))["type"] == type


async def test_a_request_that_is_asked_to_stop_ends(bench: Bench, url: str) -> None:
    await bench.client.definition_put(TYPE, {"inProgressTimeout": 300})
    id = await bench.begin(TYPE, uri=f"{url}/never")

    async def running() -> bool:
        return bool((await bench.client.status(id))["resource"]["status"] == "in-progress")

    await until(running)
    await bench.client.stop(id)
    assert (await bench.client.result(id, timeout=10_000))["resource"]["outcome"] == "canceled"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/", "http://name.invalid/", "ftp://a/b", "http://", "no uri"])
async def test_what_cannot_be_reached_fails(bench: Bench, uri: str) -> None:
    error = await bench.error(TYPE, uri=uri)
    assert error["type"] in ("http-request-failed", "invalid-params")


@pytest.mark.parametrize(("coding", "name"), [("gzip", "GZIP"), ("deflate", "deflate"), ("raw-deflate", "deflate")])
async def test_a_packed_answer_is_unpacked(bench: Bench, url: str, coding: str, name: str) -> None:
    assert (await bench.outputs(TYPE, uri=f"{url}/packed?coding={coding}&name={name}"))["body"] == "hello"


async def test_an_answer_that_unpacks_without_end_is_refused_in_bounded_memory(bench: Bench, url: str) -> None:
    tracemalloc.start()
    try:
        error = await bench.error(TYPE, uri=f"{url}/packed?coding=bomb&name=gzip")
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert error["type"] == "response-too-large"


@pytest.mark.parametrize(("coding", "name"), [("bomb", "gzip, gzip"), ("gzip", "br"), ("broken", "gzip")])
async def test_an_answer_that_cannot_be_unpacked_is_refused(bench: Bench, url: str, coding: str, name: str) -> None:
    error = await bench.error(TYPE, uri=f"{url}/packed?coding={coding}", params={"name": name})
    assert error["type"] == "response-not-text"


@pytest.mark.parametrize("name", ["none", "punycode", "rot13", "hex", "unicode-escape", "idna", "UTF8"])
async def test_a_charset_that_is_none_is_done_without(bench: Bench, url: str, name: str) -> None:
    assert (await bench.outputs(TYPE, uri=f"{url}/named?name={name}"))["body"] == "größe"
    if name != "UTF8":
        error = await bench.error(TYPE, uri=f"{url}/echo", options={"defaultCharset": name})
        assert (error["type"], error["data"]["errors"][0]["path"]) == ("invalid-params", "options.defaultCharset")


async def test_headers_may_have_any_letters(bench: Bench, url: str) -> None:
    seen = await told(bench, url, headers={"X-Own": "größe"})
    assert seen["headers"]["x-own"].encode("latin-1").decode() == "größe"
    error = await bench.error(TYPE, uri=f"{url}/echo", headers={"X-Own": "a\r\nX-Other: b"})
    assert error["type"] == "http-request-failed"


async def test_a_password_in_the_address_is_sent_and_not_told(bench: Bench, url: str) -> None:
    with_password = url.replace("://", "://user:geheim@")
    outputs = await bench.outputs(TYPE, uri=f"{with_password}/echo")
    assert json.loads(outputs["body"])["headers"]["authorization"] == "Basic dXNlcjpnZWhlaW0="
    assert outputs["uri"] == f"{url}/echo"
    for uri in (f"{with_password}/status/404", f"{with_password}/binary", "http://user:geheim@127.0.0.1:9/"):
        assert "geheim" not in str(await bench.error(TYPE, uri=uri))


async def test_a_name_that_cannot_be_looked_up_fails(bench: Bench) -> None:
    assert (await bench.error(TYPE, uri=f"http://{'a' * 70}.invalid/"))["type"] == "http-request-failed"


async def test_large_files_are_sent_in_bounded_memory(bench: Bench, url: str) -> None:
    stored = await bench.store("e/large", bytes(100 * 2**20))
    tracemalloc.start()
    try:
        form = {"file": stored}
        outputs = await bench.outputs(
            TYPE, uri=f"{url}/count", method="POST", contentType="multipart/form-data", formData=form
        )
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()
    assert int(outputs["body"]) > 100 * 2**20


async def test_encryption_is_refused(bench: Bench, url: str) -> None:
    assert (await bench.error(TYPE, uri=url, encryptBody=True))["message"].startswith("encryptBody: ")
