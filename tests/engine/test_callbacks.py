"""Callbacks: the outcome is posted, signed, tried again, and to nobody who may not be called."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
import orjson
import pytest

from taskrpc.core.built_in import CALLBACK
from taskrpc.engine import calling_out
from taskrpc.errors import TaskRpcError
from taskrpc.store.reaping import Reaping
from tests.databases import Clock, connected
from tests.engine.headless import Headless, headless
from tests.system.waiting import until

LOOPBACK = ["127.0.0.0/8"]


@dataclass
class Receiver:
    """Somebody who is called back; `statuses` are what it answers, one after the other, the last for ever."""

    statuses: list[int] = field(default_factory=lambda: [200])
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/done?for=me"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            headers["request-line"] = lines[0]
            body = await reader.readexactly(int(headers["content-length"]))
            self.messages.append((headers, body))
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            location = b"location: http://127.0.0.1:1/\r\n"
            writer.write(b"HTTP/1.1 %d X\r\n%bcontent-length: 4\r\nconnection: close\r\n\r\nseen" % (status, location))
            await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Headless]:
    """A server that may call loopback."""
    async with headless(database_url, callback_networks=LOOPBACK) as server:
        yield server


async def _ended(server: Headless, url: str, method: str = "success", **document: Any) -> Any:
    task = await server.started(callback={"url": url, "headers": {"Authorization": "Bearer x"}}, label="l")
    return await server.of(method, task, **document)


async def _callback(server: Headless, *statuses: str) -> Any:
    """The one callback there is, once it has one of these statuses."""

    async def found() -> Any:
        listed = (await server.call("awf.task/list", filter={"includeDefinitions": [CALLBACK]}))["resources"]
        assert len(listed) <= 1
        return listed[0] if listed and listed[0]["status"] in statuses else None

    return await until(found)


async def _secret(database_url: str) -> bytes:
    async with connected(database_url) as connection:
        secret: bytes = await connection.fetchval("select secret from taskrpc.callback_secret")
        return secret


async def test_the_outcome_is_posted_and_signed(server: Headless, receiver: Receiver, database_url: str) -> None:
    ended = await _ended(server, receiver.url, result={"b": 1, "a": [None]})
    callback = await _callback(server, "done")
    assert (callback["outcome"], callback["result"]) == ("succeeded", {"status": 200})
    assert callback["requester"] == {"id": ended["id"], "resourceType": "AidboxTask"}
    assert "Bearer" not in orjson.dumps(callback).decode(), "headers are told to nobody else"
    ((headers, body),) = receiver.messages
    told = orjson.loads(body)["resource"]
    assert told == {
        key: ended[key] for key in ("id", "resourceType", "status", "definition", "label", "outcome", "result", "meta")
    }
    assert b'"result":{"b":1,"a":[null]}' in body, "as it was given"
    assert headers["request-line"] == "POST /done?for=me HTTP/1.1"
    assert headers["authorization"] == "Bearer x"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == callback["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(await _secret(database_url), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


@pytest.mark.parametrize("method", ["fail", "cancel"])
async def test_every_end_is_told(server: Headless, receiver: Receiver, method: str) -> None:
    await server.call("awf.definition/put", id="test/task", allowedRetryCount=1)
    task = await server.started(callback={"url": receiver.url})
    if method == "fail":
        await server.of("fail", task, error={"message": "no"})
    else:
        await server.call("awf.task/cancel", id=task["id"])
    await _callback(server, "done")
    resource = orjson.loads(receiver.messages[0][1])["resource"]
    assert resource["outcome"] == {"fail": "failed", "cancel": "canceled"}[method]
    assert resource.get("error") == ({"message": "no"} if method == "fail" else None)
    assert len(receiver.messages) == 1


async def test_what_is_tried_again_is_not_told_yet(server: Headless, receiver: Receiver) -> None:
    task = await server.started(callback={"url": receiver.url})
    await server.of("fail", task)
    assert (await server.call("awf.task/list", filter={"includeDefinitions": [CALLBACK]}))["total"] == 0


async def test_the_outcome_of_a_workflow_is_told(server: Headless, receiver: Receiver) -> None:
    created = await server.call(
        "awf.workflow/create-and-execute", definition="test/flow", callback={"url": receiver.url}
    )
    await server.call("awf.workflow/cancel", id=created["resource"]["id"])
    await _callback(server, "done")
    resource = orjson.loads(receiver.messages[0][1])["resource"]
    assert (resource["resourceType"], resource["outcome"]) == ("AidboxWorkflow", "canceled")


async def test_a_callback_that_is_refused_is_tried_again_with_growing_pauses(
    clock: Clock, server: Headless, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503, 204]
    await _ended(server, receiver.url)
    for attempt in (1, 2):
        waiting = await _callback(server, "waiting")
        assert waiting["retryCount"] == attempt
        assert waiting["error"]["message"] == f"It answered {(500, 503)[attempt - 1]}"
        assert waiting["error"]["body"] == "seen"
        await clock.advance(60)
        await Reaping(server.parts.database, server.parts.signals).reap()
        await until(partial(_at_attempt, receiver, attempt + 1))
    callback = await _callback(server, "done")
    assert (callback["outcome"], callback["retryCount"]) == ("succeeded", 3)
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1


async def _at_attempt(receiver: Receiver, number: int) -> bool:
    return len(receiver.messages) >= number


async def test_redirects_are_not_followed(server: Headless, receiver: Receiver) -> None:
    receiver.statuses = [307]
    await _ended(server, receiver.url)
    assert (await _callback(server, "waiting"))["error"]["message"] == "It answered 307"
    assert len(receiver.messages) == 1


async def test_a_callback_that_has_failed_for_good_is_tried_again_by_hand(
    server: Headless, receiver: Receiver, observer: asyncpg.Connection
) -> None:
    await observer.execute("update taskrpc.definition set allowed_retry_count = 1 where name = $1", CALLBACK)
    receiver.statuses = [404, 200]
    await _ended(server, receiver.url)
    failed = await _callback(server, "done")
    assert failed["outcome"] == "failed"
    await server.call("awf.task/retry", id=failed["id"])
    await until(lambda: _at_attempt(receiver, 2))
    assert (await server.call("awf.task/result", id=failed["id"]))["resource"]["outcome"] == "succeeded"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.1.2.3", "2130706433"])
async def test_who_is_not_reached_through_the_internet_is_not_called(
    database_url: str, receiver: Receiver, host: str
) -> None:
    async with headless(database_url) as server:
        await _ended(server, f"http://{host}:{receiver.port}/")
        waiting = await _callback(server, "waiting")
    assert waiting["error"]["type"] == "forbidden"
    assert "is not reached through the internet" in waiting["error"]["message"]
    assert receiver.messages == []


async def test_the_connection_goes_to_the_address_that_was_looked_at(
    server: Headless, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is resolved a second time, to an address that may be called, would get the message."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo
    answers = ["10.9.9.9", "127.0.0.1"]

    async def rebinding(host: Any, port: Any, **further: Any) -> Any:
        if host != "rebind.example":
            return await resolve(host, port, **further)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    await _ended(server, f"http://rebind.example:{receiver.port}/")
    assert (await _callback(server, "waiting"))["error"]["type"] == "forbidden"
    assert answers == ["127.0.0.1"], "it was resolved once"
    assert receiver.messages == []


async def test_of_several_addresses_only_those_that_may_be_called_are(
    server: Headless, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def several(host: Any, port: Any, **further: Any) -> Any:
        if host != "several.example":
            return await resolve(host, port, **further)
        addresses = ["10.9.9.9", "127.9.9.9", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", several)
    await _ended(server, f"http://several.example:{receiver.port}/")
    assert (await _callback(server, "done"))["outcome"] == "succeeded"
    assert receiver.messages[0][0]["host"] == f"several.example:{receiver.port}"


async def test_who_does_not_answer_is_given_up(server: Headless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling_out, "REQUEST_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        await _ended(server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
        assert (await _callback(server, "waiting"))["error"]["type"] == "unavailable"


async def test_a_receiver_that_is_not_there_is_tried_again(server: Headless) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    await _ended(server, f"http://127.0.0.1:{port}/")
    assert (await _callback(server, "waiting"))["error"]["type"] == "unavailable"


@pytest.mark.parametrize("host", ["a..example", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be_looked_up_is_no_defect(server: Headless, host: str) -> None:
    await _ended(server, f"http://{host}/")
    assert (await _callback(server, "waiting"))["error"]["type"] == "unavailable"


@pytest.mark.parametrize("callback", [
    {}, {"url": ""}, {"url": "ftp://example.org"}, {"url": "http://"}, {"url": "http://a b/"}, {"url": "/done"},
    {"url": "http://user:pass@example.org/"}, {"url": "http://example.org:99999/"}, {"url": "http://[::1/"},
    {"url": "http://example.org/", "headers": {"Host": "x"}}, {"url": "http://example.org/", "headers": {"a b": "x"}},
    {"url": "http://example.org/", "headers": {"a": "x\r\nb: y"}}, {"url": "http://example.org/", "more": 1},
])  # fmt: skip
async def test_a_bad_callback_is_refused_at_creation(server: Headless, callback: dict[str, Any]) -> None:
    for method in ("task", "workflow"):
        with pytest.raises(TaskRpcError, match="invalid-params"):
            await server.call(f"awf.{method}/create-and-execute", definition="test/task", callback=callback)


async def test_callbacks_are_made_by_the_server_only(server: Headless) -> None:
    with pytest.raises(TaskRpcError, match="callbacks are made by the server"):
        await server.create(CALLBACK, params={"url": "http://example.org/"})
    with pytest.raises(TaskRpcError, match="is done by the server itself"):
        await server.poll(CALLBACK)


async def test_callbacks_are_not_lost_with_the_server_that_saw_the_end(database_url: str, receiver: Receiver) -> None:
    async with headless(database_url, loops=False) as dying:
        await _ended(dying, receiver.url)
    async with headless(database_url, callback_networks=LOOPBACK) as server:
        assert (await _callback(server, "done"))["outcome"] == "succeeded"


async def test_two_servers_tell_an_outcome_once(server: Headless, database_url: str, receiver: Receiver) -> None:
    async with headless(database_url, callback_networks=LOOPBACK) as other:
        for n in range(20):
            task = await (server, other)[n % 2].started(callback={"url": receiver.url})
            await (server, other)[n % 2].of("success", task)

        async def all_told() -> bool:
            listed = await server.call("awf.task/list", filter={"includeDefinitions": [CALLBACK], "status": "done"})
            return bool(listed["total"] == 20)

        await until(all_told)
    assert len(receiver.messages) == 20
    assert len({orjson.loads(body)["resource"]["id"] for _, body in receiver.messages}) == 20
