"""Every door asks for a key once there is one: /rpc, REST, GET; health stays open."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest

from taskrpc import Client, TaskRpcError
from taskrpc.app import Running
from taskrpc.core.access import Role, digest_of, new_key
from taskrpc.engine import keys as engine_keys
from taskrpc.engine.keys import Keys
from taskrpc.store.keys import add_key, revoke_key
from tests.databases import connected
from tests.services import Rpc, running_service, until
from tests.system.waiting import Stopwatch, promised
from tests.system.waiting import until as eventually

WORK = "test/work"
BOUND_SECONDS = promised(2.0)


async def _key(
    database_url: str, role: Role = "admin", definitions: Sequence[str] | None = None, name: str = "k"
) -> str:
    key = new_key(name)
    async with connected(database_url) as connection:
        assert await add_key(connection, name, role, digest_of(key.encode()), definitions)
    return key


async def _revoke(database_url: str, name: str = "k") -> None:
    async with connected(database_url) as connection:
        assert await revoke_key(connection, name)


@contextlib.asynccontextmanager
async def _asking(url: str, key: str) -> AsyncIterator[Rpc]:
    async with Rpc(url, headers={"x-api-key": key}) as rpc:
        yield rpc


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def _types(url: str, headers: dict[str, str]) -> list[Any]:
    """What each door answers: a type of error, or None."""
    async with httpx2.AsyncClient(base_url=url, headers=headers) as http:
        rpc = await http.post("/rpc", json={"method": "task/list"})
        batch = await http.post("/rpc", json=[{"method": "task/list"}])
        rest = await http.get("/api/v1/runtime/workflow/x/task/status")
        get = await http.get("/AidboxTask")
        one = await http.get("/AidboxTaskLog/x.1")
        file = await http.get("/files/x")
    replies = [rpc, batch, rest, get, one, file]
    for reply in replies:
        assert reply.status_code in (200, 401, 403, 404)
        assert ("www-authenticate" in reply.headers) == (reply.status_code == 401)
    return [_type(reply.json()) for reply in replies]


def _type(body: Any) -> str | None:
    if isinstance(body, list):
        return None
    found: str | None = body.get("error", body.get("details", {})).get("type")
    return found


OPEN = [None, None, "definition-not-found", None, "not-found", "file-not-found"]
CLOSED = ["unauthorized"] * 6


async def test_without_a_key_everybody_may_who_reaches_the_server_itself(service: Running) -> None:
    assert await _types(service.url, {}) == OPEN


@pytest.mark.parametrize("way", ["X-API-KEY", "Bearer", "Basic"])
async def test_a_key_is_presented_in_three_ways(database_url: str, way: str) -> None:
    key = await _key(database_url)

    def presented(text: str) -> dict[str, str]:
        if way == "X-API-KEY":
            return {"x-api-key": text}
        return {"authorization": f"Bearer {text}" if way == "Bearer" else _basic("k", text)}

    async with running_service(database_url) as server:
        assert await _types(server.url, presented(key)) == OPEN
        assert await _types(server.url, presented(key[:-1])) == CLOSED
        assert await _types(server.url, presented(new_key("k"))) == CLOSED
        assert await _types(server.url, presented(new_key("other"))) == CLOSED
        assert await _types(server.url, presented("k")) == CLOSED


@pytest.mark.parametrize("authorization", [
    "", "Basic", "Basic ???", "Basic a2V5", "Bearer", "Digest x", _basic("other", "k.x"), _basic("k", ""),
])  # fmt: skip
async def test_what_is_no_key_opens_no_door(database_url: str, authorization: str) -> None:
    await _key(database_url)
    async with running_service(database_url) as server:
        assert await _types(server.url, {"authorization": authorization}) == CLOSED


async def test_the_user_of_basic_is_the_name_of_the_key(database_url: str) -> None:
    key = await _key(database_url)
    async with running_service(database_url) as server:
        assert await _types(server.url, {"authorization": _basic("someone", key)}) == CLOSED


async def test_health_stays_open(database_url: str) -> None:
    await _key(database_url)
    async with running_service(database_url) as server, httpx2.AsyncClient(base_url=server.url) as http:
        for path in ("/health/live", "/health/ready"):
            assert (await http.get(path)).status_code == 200


async def test_only_the_digest_of_a_key_is_kept(database_url: str) -> None:
    key = await _key(database_url)
    async with connected(database_url) as connection:
        (row,) = await connection.fetch("select k::text from taskrpc.access_key k")
    assert key.partition(".")[2] not in row[0]


async def test_an_executor_reads_and_submits_nothing(database_url: str) -> None:
    key = await _key(database_url, "executor")
    async with running_service(database_url) as server:
        assert await _types(server.url, {"x-api-key": key}) == [
            "forbidden",
            None,
            "forbidden",
            "forbidden",
            "forbidden",
            "forbidden",
        ]


async def test_what_a_bound_key_reads_by_get_is_of_its_definitions(database_url: str) -> None:
    key, all_of_it = await _key(database_url, "user", [WORK]), await _key(database_url, name="all")
    async with (
        running_service(database_url) as server,
        _asking(server.url, key) as rpc,
        _asking(server.url, all_of_it) as full,
    ):
        mine, other = await full.create(WORK), await full.create("test/other")
        assert (await full.get("/AidboxTask")).body["total"] == 2
        assert (await rpc.get("/AidboxTask")).body["total"] == 1
        assert (await rpc.get("/AidboxTask", definition="test/other")).error["type"] == "forbidden"
        assert (await rpc.get(f"/AidboxTask/{mine['id']}")).body["id"] == mine["id"]
        assert (await rpc.get(f"/AidboxTask/{other['id']}")).error["type"] == "forbidden"
        assert (await rpc.get("/AidboxTaskLog")).error["type"] == "forbidden"
        log = (await rpc.get("/AidboxTaskLog", **{".subject.id": mine["id"]})).body
        assert log["total"] == 1
        entry = log["entry"][0]["resource"]["id"]
        assert (await rpc.get(f"/AidboxTaskLog/{entry}")).body["id"] == entry
        assert (await rpc.get("/AidboxTaskLog", **{".subject.id": other["id"]})).error["type"] == "forbidden"
        theirs = (await full.get("/AidboxTaskLog", **{".subject.id": other["id"]})).body["entry"][0]["resource"]["id"]
        assert (await rpc.get(f"/AidboxTaskLog/{theirs}")).error["type"] == "forbidden"


async def test_rest_is_for_the_workflows_of_the_key(database_url: str) -> None:
    key = await _key(database_url, "user", [WORK])
    async with running_service(database_url) as server, httpx2.AsyncClient(base_url=server.url) as http:
        http.headers["x-api-key"] = key
        for method, path in (("GET", "task/status"), ("DELETE", "task"), ("GET", "task/t1/response")):
            mine = await http.request(method, f"/api/v1/runtime/workflow/test~work/{path}")
            other = await http.request(method, f"/api/v1/runtime/workflow/test~other/{path}")
            assert (mine.status_code, mine.json()["details"]["type"]) == (404, "definition-not-found")
            assert (other.status_code, other.json()["details"]["type"]) == (403, "forbidden")


@pytest.mark.parametrize("notify", [True, False])
async def test_a_revoked_key_is_refused_within_two_seconds_by_all_servers(database_url: str, notify: bool) -> None:
    key = await _key(database_url)
    await _key(database_url, name="another")
    async with (
        running_service(database_url, notify=notify) as first,
        running_service(database_url, notify=notify) as second,
        _asking(first.url, key) as one,
        _asking(second.url, key) as other,
    ):
        assert {(await each.call("task/list")).status for each in (one, other)} == {200}
        await _revoke(database_url)
        clock = Stopwatch()

        async def refused() -> bool:
            return {(await each.call("task/list")).status for each in (one, other)} == {401}

        await eventually(refused)
        assert clock.seconds < BOUND_SECONDS


async def test_the_first_key_closes_the_doors_of_a_server_that_runs(rpc: Rpc, database_url: str) -> None:
    assert (await rpc.call("task/list")).status == 200
    await _key(database_url)

    async def closed() -> bool:
        return (await rpc.call("task/list")).status == 401

    await eventually(closed, BOUND_SECONDS)


async def test_a_server_that_others_reach_refuses_everybody_when_its_last_key_is_revoked(database_url: str) -> None:
    key = await _key(database_url)
    async with (
        running_service(database_url, host="0.0.0.0") as server,
        _asking(server.url.replace("0.0.0.0", "127.0.0.1"), key) as rpc,
    ):
        assert (await rpc.call("task/list")).status == 200
        await _revoke(database_url)

        async def refused() -> bool:
            return (await rpc.call("task/list")).status == 401

        await eventually(refused, BOUND_SECONDS)


async def test_a_waiting_poll_of_a_revoked_key_gets_no_task(database_url: str) -> None:
    poller, user = await _key(database_url, "executor", name="poller"), await _key(database_url, name="user")
    async with (
        running_service(database_url) as server,
        _asking(server.url, poller) as polling,
        _asking(server.url, user) as rpc,
    ):
        poll = asyncio.ensure_future(polling.call("task/long-poll", taskDefinitions=[WORK], timeout=60_000))
        await until(lambda: server.services.dispatcher.waiting == 1)
        await _revoke(database_url, "poller")

        async def refused() -> bool:
            return (await polling.call("task/poll", taskDefinitions=["x"])).status == 401

        await eventually(refused, BOUND_SECONDS)
        task = await rpc.create(WORK)
        assert (await poll).error["type"] == "unauthorized"
        (again,) = (await rpc.call("task/long-poll", taskDefinitions=[WORK])).result["resources"]
        assert (again["id"], again.get("retryCount")) == (task["id"], None)


async def test_keys_stay_as_they_were_while_the_database_cannot_be_asked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await _key(database_url)
    async with running_service(database_url) as server, _asking(server.url, key) as rpc:

        async def broken(_: object) -> object:
            raise TaskRpcError("unavailable", "away")

        monkeypatch.setattr(engine_keys, "read_keys", broken)
        with pytest.raises(TaskRpcError, match="unavailable"):
            await Keys(server.database, open_without=True).look()
        assert (await rpc.call("task/list")).status == 200


async def test_the_clients_of_python_present_their_key(database_url: str) -> None:
    key = await _key(database_url)
    async with running_service(database_url) as server:

        def call(api_key: str | None) -> Any:
            with Client(server.url, api_key=api_key) as client:
                return client.list()

        assert (await asyncio.to_thread(call, key))["total"] == 0
        with pytest.raises(TaskRpcError, match="unauthorized"):
            await asyncio.to_thread(call, None)
