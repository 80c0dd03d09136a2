"""Definitions in the memories of servers, their revisions, and what tasks keep of them."""

from pathlib import Path
from typing import Any

import pytest

from taskrpc.core.submission import Submission
from taskrpc.errors import TaskRpcError
from tests.engine.headless import Headless, headless

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


async def _put(server: Headless, **fields: Any) -> Any:
    return (await server.call("awf.definition/put", id="d", **fields))["resource"]


async def test_a_result_is_checked_against_the_revision_of_its_task(server: Headless) -> None:
    await _put(server, result=STRING, error=STRING)
    task = await server.started("d")
    await _put(server, result=INTEGER, error=INTEGER)
    with pytest.raises(TaskRpcError, match="invalid-params: result: 7 is not of type"):
        await server.of("success", task, result=7)
    with pytest.raises(TaskRpcError, match="invalid-params: error: 7 is not of type"):
        await server.of("fail", task, error=7)
    assert (await server.of("success", task, result="seven"))["result"] == "seven"
    later = await server.started("d")
    assert (await server.of("success", later, result=7))["result"] == 7


async def test_a_server_that_does_not_know_the_revision_of_a_task_checks_its_result_all_the_same(
    server: Headless, database_url: str
) -> None:
    async with headless(database_url) as other:
        await _put(other, result=STRING)
        task = await other.started("d")
        await _put(other)
        with pytest.raises(TaskRpcError, match="invalid-params"):
            await server.of("success", task, result=7)
        assert (await server.of("success", task, result="x", callId="c"))["outcome"] == "succeeded"


async def test_a_result_gets_the_defaults_of_its_schema(server: Headless) -> None:
    await _put(server, result={"properties": {"rows": {"default": 0}}})
    task = await server.started("d")
    assert (await server.of("success", task, result={"a": 1}))["result"] == {"a": 1, "rows": 0}


async def test_params_are_checked_against_the_definition_as_it_is_now_on_every_server(
    server: Headless, database_url: str
) -> None:
    async with headless(database_url) as other:
        await other.create("d", params={"n": 1})
        await _put(server, params={"properties": {"n": STRING}})
        with pytest.raises(TaskRpcError, match=r"invalid-params: params\.n"):
            await other.create("d", params={"n": 1})
        await other.create("d", params={"n": "1"})


async def test_putting_what_is_there_already_adds_no_revision(server: Headless) -> None:
    first = await _put(server, priority=3)
    assert await _put(server, priority=3) == first
    second = await _put(server, priority=4)
    assert second["revision"] > first["revision"]


async def test_a_deleted_definition_is_gone_and_its_name_has_the_defaults_again(server: Headless) -> None:
    await _put(server, priority=3)
    await server.call("awf.definition/delete", id="d")
    for method in ("get", "delete"):
        with pytest.raises(TaskRpcError, match="definition-not-found"):
            await server.call(f"awf.definition/{method}", id="d")
    assert "priority" not in await server.create("d")
    assert (await server.call("awf.definition/list"))["resources"] == []
    await _put(server, priority=5)
    assert (await server.create("d"))["priority"] == 5


async def test_a_strict_server_refuses_what_nobody_defined(database_url: str) -> None:
    async with headless(database_url, strict_definitions=True) as strict, headless(database_url) as other:
        with pytest.raises(TaskRpcError, match="definition-not-found: There is no definition 'd'"):
            await strict.create("d")
        await _put(other)
        await strict.create("d")


async def test_a_file_is_applied_once_for_the_whole_database(server: Headless, database_url: str) -> None:
    path, content = Path("definitions.yaml"), b"d: {priority: 1}"
    await server.parts.definitions.apply_file(path, content, {"d": {"priority": 1}})
    await _put(server, priority=2)
    async with headless(database_url) as other:
        await other.parts.definitions.apply_file(path, content, {"d": {"priority": 1}})
        assert (await other.call("awf.definition/get", id="d"))["resource"]["priority"] == 2
        await other.parts.definitions.apply_file(path, b"d: {priority: 3}", {"d": {"priority": 3}, "e": None})
        assert (await other.call("awf.definition/get", id="d"))["resource"]["priority"] == 3
        assert (await server.call("awf.definition/get", id="e"))["resource"]["priority"] == 0


@pytest.mark.parametrize("parsed", [None, [], "text", {"d": 7}, {"d": {"priority": "x"}}, {"d": {"unknown": 1}}])
async def test_a_file_that_is_wrong_changes_nothing(server: Headless, parsed: Any) -> None:
    fine = {"a": {}, **parsed} if isinstance(parsed, dict) else parsed
    with pytest.raises(TaskRpcError, match="invalid-params"):
        await server.parts.definitions.apply_file(Path("f.yaml"), b"content", fine)
    assert (await server.call("awf.definition/list"))["resources"] == []


@pytest.mark.parametrize("kind", ["task", "workflow"])
async def test_a_server_that_has_not_heard_of_a_deletion_submits_nothing_of_what_was_deleted(
    server: Headless, database_url: str, kind: str
) -> None:
    await _put(server, kind=kind)
    async with headless(database_url, loops=False) as other:
        await server.call("awf.definition/delete", id="d")
        assert other.parts.definitions.kind("d") == kind, "it has not heard"
        with pytest.raises(TaskRpcError, match="definition-not-found"):
            await other.parts.services.asynchronous.submit("d", {}, Submission())
