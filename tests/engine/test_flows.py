"""Flows as definitions: put, in revisions; read, deleted, and loaded by servers that did not put them."""

from pathlib import Path
from typing import Any

import pytest

from taskrpc.errors import TaskRpcError
from tests.engine.headless import Headless

SAY = {"id": "say", "type": "core.log.Log", "message": "x"}
GREET: dict[str, Any] = {"id": "greet", "namespace": "company.team", "tasks": [SAY]}
NAMES = {"id": "greet", "namespace": "company.team"}
TEXT = """\
# says hello
id: greet
namespace: company.team
tasks:
  - {id: say, type: core.log.Log, message: x}
"""


async def _put(server: Headless, **changed: Any) -> Any:
    return (await server.call("awf.flow/put", **{**GREET, **changed}))["resource"]


async def test_a_flow_is_put_and_read_as_it_was_written(server: Headless) -> None:
    document = {**GREET, "variables": {"b": 1, "a": [1.0, None, {"z": 1, "y": 2}]}, "description": "says it"}
    put = (await server.call("awf.flow/put", **document))["resource"]
    assert put["flow"] == document
    assert list(put["flow"]["variables"]) == ["b", "a"]
    assert {key: put[key] for key in ("resourceType", "definition", "revision", "disabled", "description")} == {
        "resourceType": "AidboxFlow", "definition": "company.team.greet", "revision": 1, "disabled": False,
        "description": "says it",
    }  # fmt: skip
    assert (await server.call("awf.flow/get", **NAMES))["resource"] == put


async def test_a_flow_that_comes_as_text_keeps_it(server: Headless) -> None:
    put = (await server.call("awf.flow/put", source=TEXT))["resource"]
    assert (put["source"], put["flow"]) == (TEXT, GREET)
    again = (await server.call("awf.flow/put", source=TEXT))["resource"]
    assert again == put
    changed = (await server.call("awf.flow/put", source=TEXT.replace("hello", "hi")))["resource"]
    assert (changed["revision"], changed["flow"]) == (2, GREET)


async def test_every_change_is_a_revision_and_stays(server: Headless) -> None:
    first = await _put(server)
    assert await _put(server) == first
    second = await _put(server, labels={"team": "a"})
    assert second["revision"] == 2
    assert (await _put(server))["revision"] == 3
    for revision, expected in ((1, first), (2, second)):
        assert (await server.call("awf.flow/get", **NAMES, revision=revision))["resource"] == expected
    with pytest.raises(TaskRpcError, match=r"definition-not-found: .*revision 4"):
        await server.call("awf.flow/get", **NAMES, revision=4)


async def test_revisions_go_on_after_a_flow_was_deleted(server: Headless) -> None:
    await _put(server)
    await server.call("awf.flow/delete", **NAMES)
    for method in ("get", "delete"):
        with pytest.raises(TaskRpcError, match=r"definition-not-found"):
            await server.call(f"awf.flow/{method}", **NAMES)
    assert (await server.call("awf.flow/get", **NAMES, revision=1))["resource"]["flow"] == GREET
    assert (await server.call("awf.flow/list"))["resources"] == []
    assert (await _put(server))["revision"] == 2


async def test_flows_are_listed_without_their_documents(server: Headless) -> None:
    await _put(server, id="b", disabled=True)
    await _put(server, id="a", description="first")
    await _put(server, namespace="other")
    listed = (await server.call("awf.flow/list", namespace="company.team"))["resources"]
    assert [(each["id"], each["disabled"], each.get("description")) for each in listed] == [
        ("a", False, "first"),
        ("b", True, None),
    ]
    assert not any("flow" in each for each in listed)
    assert len((await server.call("awf.flow/list"))["resources"]) == 3


async def test_a_wrong_flow_is_refused_with_the_path_of_every_mistake(server: Headless) -> None:
    tasks = [SAY, {"id": "which", "type": "core.flow.Switch", "value": "{{ 1 }}", "cases": {"true": [{**SAY, "x": 1}]}}]
    with pytest.raises(TaskRpcError) as refusal:
        await _put(server, tasks=tasks, namespace="Company")
    assert refusal.value.type == "invalid-params"
    assert refusal.value.data == {
        "errors": [
            {"path": "namespace", "message": 'is made of lower-case letters, digits, _, - and ., not "Company"'},
            {"path": "tasks[1].cases.true[0].x", "message": "unknown property"},
            {"path": "tasks[1].cases.true[0].id", "message": "the id say is not unique; tasks[0] has it"},
        ]
    }
    validated = await server.call("awf.flow/validate", **{**GREET, "tasks": tasks, "namespace": "Company"})
    assert validated == {"valid": False, **refusal.value.data}
    assert await server.call("awf.flow/validate", **GREET) == {"valid": True, "errors": []}
    assert (await server.call("awf.flow/list"))["resources"] == []


async def test_mistakes_in_a_text_say_their_lines(server: Headless) -> None:
    wrong = await server.call("awf.flow/validate", source=TEXT.replace("message", "mesage"))
    assert [(each["path"], each["line"]) for each in wrong["errors"]] == [
        ("tasks[0].message", 5),
        ("tasks[0].mesage", 5),
    ]
    unreadable = await server.call("awf.flow/validate", source="id: &a [1\n")
    assert (unreadable["errors"][0]["path"], unreadable["errors"][0]["line"]) == ("source", 1)
    with pytest.raises(TaskRpcError, match=r"invalid-params: .*by its fields or by source, not by both"):
        await server.call("awf.flow/put", source=TEXT, id="greet")


async def test_a_flow_that_is_too_large_is_refused(server: Headless) -> None:
    with pytest.raises(TaskRpcError, match=r"invalid-params: A flow has at most 524288 bytes"):
        await _put(server, description="x" * 600_000)
    wrong = await server.call("awf.flow/validate", source="x" * 600_000)
    assert wrong["errors"][0]["message"].startswith("A flow has at most")
    with pytest.raises(TaskRpcError, match=r"at most 254 characters together"):
        await _put(server, id="x" * 250)


async def test_a_long_flow_is_read_beside_everything_else(server: Headless) -> None:
    tasks = [{**SAY, "id": f"say-{number}"} for number in range(200)]
    await _put(server, tasks=tasks)
    loaded = await server.parts.services.flows.load("company.team.greet")
    assert loaded is not None
    assert list(loaded.flow.tasks) == [task["id"] for task in tasks]


async def test_a_name_is_that_of_one_definition(server: Headless) -> None:
    await server.call("awf.definition/put", id="company.team.greet")
    with pytest.raises(TaskRpcError, match=r"invalid-params: id: company\.team\.greet is the name of a definition"):
        await _put(server)
    await server.call("awf.definition/delete", id="company.team.greet")
    assert (await _put(server))["revision"] == 1
    with pytest.raises(TaskRpcError, match=r"invalid-params: id: .* is the name of another flow, greet in the namesp"):
        await _put(server, namespace="company", id="team.greet")
    for method in ("put", "delete"):
        with pytest.raises(TaskRpcError, match=r"invalid-params: id: .* is a flow: .* awf\.flow/"):
            await server.call(f"awf.definition/{method}", id="company.team.greet")
    await server.call("awf.flow/delete", **NAMES)
    with pytest.raises(TaskRpcError, match=r"invalid-params: kind: .* flows are put with awf\.flow/put"):
        await server.call("awf.definition/put", id="company.team.greet", kind="flow")
    await server.call("awf.definition/put", id="company.team.greet", priority=1)
    assert (await server.call("awf.flow/list"))["resources"] == []


async def test_a_flow_is_a_definition_of_its_kind(server: Headless) -> None:
    await _put(server)
    definition = (await server.call("awf.definition/get", id="company.team.greet"))["resource"]
    assert definition["kind"] == "flow"
    with pytest.raises(TaskRpcError, match=r"invalid-params: definition: .* is defined as a flow, not as a task"):
        await server.create("company.team.greet")


async def test_another_server_loads_the_newest_revision_or_the_one_that_it_asks_for(
    server: Headless, other: Headless
) -> None:
    await _put(server)
    first = await other.parts.services.flows.load("company.team.greet")
    await _put(server, labels={"team": "a"}, disabled=True)
    second = await other.parts.services.flows.load("company.team.greet")
    assert first is not None
    assert second is not None
    assert [(each.flow.revision, each.revision, each.flow.disabled) for each in (first, second)] == [
        (1, 1, False),
        (2, 2, True),
    ]
    assert await other.parts.services.flows.load("company.team.greet", 1) is first
    assert await other.parts.services.flows.of_rev(second.rev) is second
    await server.call("awf.flow/delete", **NAMES)
    assert await other.parts.services.flows.load("company.team.greet") is None
    assert await other.parts.services.flows.load("company.team.greet", 1) is first
    assert await other.parts.services.flows.of_rev(0) is None


async def test_the_flow_of_a_file_is_put_once_for_the_whole_database(server: Headless, other: Headless) -> None:
    path, flows = Path("greet.yaml"), server.parts.services.flows
    await flows.apply_file(path, TEXT.encode())
    await _put(server)
    await other.parts.services.flows.apply_file(path, TEXT.encode())
    assert (await server.call("awf.flow/get", **NAMES))["resource"]["revision"] == 2
    await other.parts.services.flows.apply_file(path, TEXT.replace("hello", "hi").encode())
    assert (await server.call("awf.flow/get", **NAMES))["resource"]["revision"] == 3
