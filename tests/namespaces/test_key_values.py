"""Keys expire by the database's clock."""

import asyncio
from typing import Any

import pytest

from tests.databases import Clock, connected
from tests.engine.headless import headless
from tests.services import Rpc
from tests.store.halting import HALT, go_on, halted, look_for, over_a_path

TEAM = {"namespace": "company.team"}
SECOND = 1000


async def put(rpc: Rpc, key: str, value: Any, **further: Any) -> Any:
    return (await rpc.call("awf.kv/put", **TEAM, key=key, value=value, **further)).result["resource"]


async def keys(rpc: Rpc) -> list[str]:
    return [each["key"] for each in (await rpc.call("awf.kv/list", **TEAM)).result["resources"]]


async def test_a_key_is_there_until_its_time_is_over(rpc: Rpc, clock: Clock) -> None:
    await put(rpc, "a", 1, ttl=60 * SECOND)
    await put(rpc, "b", 2)
    await clock.advance(59)
    assert (await rpc.call("awf.kv/get", **TEAM, key="a")).result["resource"]["value"] == 1
    await clock.advance(1)
    assert (await rpc.call("awf.kv/get", **TEAM, key="a")).error["type"] == "key-not-found"
    assert (await rpc.call("awf.kv/delete", **TEAM, key="a")).error["type"] == "key-not-found"
    assert await keys(rpc) == ["b"]
    assert (await rpc.call("awf.kv/list", **TEAM)).result["total"] == 1


async def test_a_key_that_is_set_after_it_expired_is_a_new_one(rpc: Rpc, clock: Clock) -> None:
    first = await put(rpc, "a", 1, ttl=SECOND)
    await clock.advance(5)
    second = await put(rpc, "a", 2)
    assert second["meta"]["versionId"] == "1"
    assert second["meta"]["createdAt"] > first["meta"]["createdAt"]
    assert "expiresAt" not in second


async def test_setting_a_key_anew_sets_its_time_anew(rpc: Rpc, clock: Clock) -> None:
    await put(rpc, "a", 1, ttl=10 * SECOND)
    await clock.advance(9)
    assert (await put(rpc, "a", 2, ttl=10 * SECOND))["meta"]["versionId"] == "2"
    await clock.advance(9)
    assert await keys(rpc) == ["a"]
    await put(rpc, "a", 3)
    await clock.advance(3600)
    assert await keys(rpc) == ["a"]


async def test_what_has_expired_is_removed_from_the_database(database_url: str, clock: Clock) -> None:
    async with headless(database_url, loops=False) as server, connected(database_url) as observer:
        for number in range(5):
            await server.call("awf.kv/put", **TEAM, key=f"k{number}", value=number, ttl=(number + 1) * SECOND)
        await server.call("awf.kv/put", **TEAM, key="stays", value="here")
        await clock.advance(3)
        assert await server.parts.services.namespaces.keys.sweep() > 0
        left = await observer.fetch("select key from taskrpc.key_value order by key")
    assert [row["key"] for row in left] == ["k3", "k4", "stays"]


@pytest.mark.parametrize("value", [0, "", [], {}, False, "ä\U0001f600", 2**63, {"b": 1, "a": [None, 1.5]}])
async def test_a_value_comes_back_as_it_was_given(rpc: Rpc, value: Any) -> None:
    await put(rpc, "a", value)
    got = (await rpc.call("awf.kv/get", **TEAM, key="a")).result["resource"]["value"]
    assert (got, repr(got)) == (value, repr(value))


async def test_a_value_has_a_size(rpc: Rpc) -> None:
    await put(rpc, "a", "x" * (2**20 - 2))
    refused = await rpc.call("awf.kv/put", **TEAM, key="a", value="x" * (2**20 - 1))
    assert refused.error["message"] == "value: it has at most 1048576 bytes as JSON, not 1048577"


async def test_namespaces_do_not_see_each_other_and_are_listed_together(rpc: Rpc) -> None:
    for namespace in ("b.one", "a.two"):
        await rpc.call("awf.kv/put", namespace=namespace, key="k", value=namespace)
    assert (await rpc.call("awf.kv/get", namespace="a.two", key="k")).result["resource"]["value"] == "a.two"
    listed = (await rpc.call("awf.kv/list")).result["resources"]
    assert [each["namespace"] for each in listed] == ["a.two", "b.one"]


async def test_a_batch_sets_and_reads_in_order(rpc: Rpc) -> None:
    def entry(method: str, **further: Any) -> Any:
        return {"method": method, "params": {**TEAM, "key": "k", **further}}

    calls = [entry("kv/put", value=1), entry("kv/put", value=2), entry("kv/get"), entry("kv/delete"), entry("kv/get")]
    answers = (await rpc.post(calls)).body
    assert answers[2]["result"]["resource"]["value"] == 2
    assert answers[4]["error"]["type"] == "key-not-found"


async def test_a_delete_that_committed_after_its_connection_broke_is_told_as_done(database_url: str) -> None:
    async with over_a_path(database_url) as (server, path), connected(database_url) as observer:
        await server.call("awf.kv/put", **TEAM, key="k", value=1)
        await observer.execute(HALT.replace("insert or update on taskrpc.task", "delete on taskrpc.key_value"))
        deleting = asyncio.ensure_future(server.call("awf.kv/delete", **TEAM, key="k"))
        (process,) = await halted(observer)
        path.cut()
        await look_for(observer, process)
        await go_on(observer)
        assert await deleting == {}
        assert await observer.fetchval("select count(*) from taskrpc.key_value") == 0
