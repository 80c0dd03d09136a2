"""An executor that may request public addresses only."""

import asyncio
from functools import partial
from typing import Any

import httpx2
import pytest
from taskrpc_executors import FlowLeaves
from taskrpc_executors.flows.addresses import PublicOnly

from taskrpc import Executor
from tests.executor.conftest import serving
from tests.leaves.conftest import Bench

TYPE = "core.http.Request"


@pytest.fixture
async def public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every name lead to one public address."""

    async def resolved(*_: Any, **__: Any) -> Any:
        return [(2, 1, 6, "", ("93.184.216.34", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)


async def test_with_public_addresses_only_this_machine_is_out_of_reach(bench: Bench) -> None:
    executor = Executor(bench.running.url)
    leaves = FlowLeaves(bench.running.url, public_only=True)
    executor.task("public")(partial(leaves.carry_out, TYPE))
    await bench.client.definition_put("public", {"allowedRetryCount": 1})
    async with serving(executor):
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0"):
            error = await bench.error("public", uri=bench.running.url.replace("127.0.0.1", host))
            assert error["type"] == "http-request-failed"
            assert "no public address" in error["message"]


@pytest.mark.usefixtures("public_address")
async def test_a_redirect_that_names_no_host_leads_to_the_host_that_was_asked() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200) if len(seen) == 2 else httpx2.Response(302, headers={"location": "/other"})

    async with httpx2.AsyncClient(transport=PublicOnly(httpx2.MockTransport(answer)), follow_redirects=True) as client:
        answered = await client.get("https://example.org/path")
    assert str(answered.url) == "https://example.org/other"
    assert [(each.headers["host"], each.extensions["sni_hostname"]) for each in seen] == [("example.org",) * 2] * 2


@pytest.mark.usefixtures("public_address")
async def test_a_public_name_is_connected_to_by_the_address_that_was_looked_at() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    async with httpx2.AsyncClient(transport=PublicOnly(httpx2.MockTransport(answer))) as client:
        await client.get("https://example.org/path")
    (request,) = seen
    assert (request.url.host, request.headers["host"]) == ("93.184.216.34", "example.org")
    assert request.extensions["sni_hostname"] == "example.org"
