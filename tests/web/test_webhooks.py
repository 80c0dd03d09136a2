"""Webhooks: a flow that is started by whoever knows its address."""

import asyncio
from typing import Any

import httpx2
import pytest

from taskrpc.app import Running
from taskrpc.core.access import digest_of, new_key
from taskrpc.store.keys import add_key
from tests.databases import connected
from tests.services import Rpc, running_service, until

HOOK: dict[str, Any] = {"id": "hook", "type": "core.trigger.Webhook", "key": "s3cret/ü"}
TELL = {"id": "tell", "type": "core.debug.Return", "format": "{{ trigger | json }}"}
ADDRESS = "/api/v1/webhook/company.team/hooked/s3cret%2F%C3%BC"
NAME = "company.team.hooked"


@pytest.fixture
async def http(service: Running) -> Any:
    async with httpx2.AsyncClient(base_url=service.url, timeout=30) as http:
        yield http


async def put(rpc: Rpc, trigger: Any = None, task: Any = TELL, **fields: Any) -> None:
    flow = {"id": "hooked", "namespace": "company.team", "tasks": [task], "triggers": [{**HOOK, **(trigger or {})}]}
    assert (await rpc.call("awf.flow/put", **{**flow, **fields})).result


def _waiting(service: Running) -> int:
    return service.services.hints._results.waiting


def told() -> list[Any]:
    return [{"id": "told", "type": "JSON", "value": "{{ outputs.tell.value }}"}]


async def test_a_call_starts_an_execution_and_answers_it(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    await put(rpc, {"labels": {"from": "outside"}}, inputs=[{"id": "n", "type": "INT", "defaults": 3}])
    reply = await http.post(ADDRESS, json={"a": 1})
    assert reply.status_code == 200, reply.text
    execution = reply.json()["resource"]
    assert (execution["resourceType"], execution["definition"]) == ("AidboxWorkflow", NAME)
    assert execution["requester"] == {"id": f"{NAME}/hook", "resourceType": "AidboxFlowTrigger"}
    ended = (await rpc.call("awf.workflow/result", id=execution["id"])).result["resource"]
    assert ended["state"] == "SUCCESS"


async def test_what_a_call_says_is_what_trigger_means(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    inputs = [{"id": "who", "type": "STRING"}]
    trigger = {
        "wait": True,
        "returnOutputs": True,
        "inputs": {"who": "{{ trigger.body.who }} {{ trigger.parameters.n[1] }}"},
    }
    await put(
        rpc, trigger, outputs=[*told(), {"id": "who", "type": "STRING", "value": "{{ inputs.who }}"}], inputs=inputs
    )
    headers = [("X-Signature", "a"), ("X-Signature", "b"), ("Authorization", "Bearer me"), ("Cookie", "c=1")]
    reply = await http.post(f"{ADDRESS}?n=1&n=2&m=", json={"who": "Ada"}, headers=headers)
    assert reply.status_code == 200, reply.text
    outputs = reply.json()
    assert outputs["who"] == "Ada 2"
    assert outputs["told"]["body"] == {"who": "Ada"}
    assert outputs["told"]["parameters"] == {"n": ["1", "2"], "m": [""]}
    assert outputs["told"]["headers"]["x-signature"] == ["a", "b"]
    assert not outputs["told"]["headers"].keys() & {"authorization", "cookie"}


@pytest.mark.parametrize(
    ("content", "type", "body"),
    [
        (b'{"a": [1, null]}', "application/json", {"a": [1, None]}),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b"a=1&b=2", "application/x-www-form-urlencoded", "a=1&b=2"),
        ("\u00fc".encode(), None, "\u00fc"),
        (b"", None, None),
    ],
)
async def test_a_body_is_json_or_text_or_nothing(
    rpc: Rpc, http: httpx2.AsyncClient, content: bytes, type: str | None, body: Any
) -> None:
    await put(rpc, {"wait": True, "returnOutputs": True}, outputs=told())
    reply = await http.post(ADDRESS, content=content, headers={} if type is None else {"content-type": type})
    assert reply.json()["told"]["body"] == body


@pytest.mark.parametrize(
    ("content", "headers", "status", "type"),
    [
        (b"{", {"content-type": "application/json"}, 400, "unparsable-body"),
        (b"\xff\xfe", {}, 415, "unsupported-media-type"),
        (b"a\0b", {}, 415, "unsupported-media-type"),
        (b"x", {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        (b"x" * (2**20 + 1), {}, 413, "body-too-large"),
    ],
)
async def test_a_body_that_cannot_be_taken_starts_nothing(
    rpc: Rpc, http: httpx2.AsyncClient, content: bytes, headers: dict[str, str], status: int, type: str
) -> None:
    await put(rpc)
    reply = await http.post(ADDRESS, content=content, headers=headers)
    assert (reply.status_code, reply.json()["error"]["type"]) == (status, type)
    assert (await rpc.call("awf.workflow/list")).result["total"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/webhook/company.team/hooked/s3cret",
        "/api/v1/webhook/company.team/hooked/",
        "/api/v1/webhook/company.team/hooked",
        "/api/v1/webhook/company.team/hooked/s3cret%2F%C3%BC/more",
        "/api/v1/webhook/company.team/other/s3cret%2F%C3%BC",
        "/api/v1/webhook/company/team.hooked/s3cret%2F%FF",
        "/api/v1/webhook/company.team%00/hooked/s3cret%2F%C3%BC",
        "/api/v1/webhook/company.team/hooked%00/s3cret%2F%C3%BC",
    ],
)
async def test_another_address_is_that_of_nothing(rpc: Rpc, http: httpx2.AsyncClient, path: str) -> None:
    await put(rpc)
    reply = await http.post(path)
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not-found")


async def test_a_trigger_or_flow_that_is_disabled_or_deleted_cannot_be_called(
    rpc: Rpc, http: httpx2.AsyncClient
) -> None:
    for trigger, fields in (({"disabled": True}, {}), ({}, {"disabled": True})):
        await put(rpc, trigger, **fields)
        assert (await http.post(ADDRESS)).status_code == 404
    await put(rpc)
    assert (await http.post(ADDRESS)).status_code == 200
    await rpc.call("awf.flow/delete", namespace="company.team", id="hooked")
    assert (await http.post(ADDRESS)).status_code == 404


async def test_another_method_is_refused(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    await put(rpc)
    reply = await http.get(ADDRESS)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["error"]["message"] == "GET is not possible here; use POST"


async def test_a_condition_decides_whether_anything_is_started(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    condition = {"type": "core.condition.Expression", "expression": "{{ trigger.body.kind == 'push' }}"}
    await put(rpc, {"conditions": [condition]})
    assert (await http.post(ADDRESS, json={"kind": "pull"})).status_code == 204
    assert (await http.post(ADDRESS)).status_code == 204
    assert (await http.post(ADDRESS, json={"kind": "push"})).status_code == 200
    assert (await rpc.call("awf.workflow/list")).result["total"] == 1


async def test_inputs_that_do_not_fit_are_told(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    for inputs, message in (
        ({"n": "{{ trigger.body.n }}"}, 'inputs.n: "x" is not'),
        ({"n": "{{ trigger.other }}"}, "inputs: "),
    ):
        await put(rpc, {"inputs": inputs}, inputs=[{"id": "n", "type": "INT"}])
        reply = await http.post(ADDRESS, json={"n": "x"})
        assert (reply.status_code, reply.json()["error"]["type"]) == (422, "invalid-params")
        assert reply.json()["error"]["message"].startswith(message)


async def test_who_waits_is_answered_at_the_end_with_the_execution_or_its_outputs(
    rpc: Rpc, http: httpx2.AsyncClient, service: Running
) -> None:
    work = {"id": "tell", "type": "company/work"}
    await put(rpc, {"wait": True}, work)
    waiting = asyncio.ensure_future(http.post(ADDRESS))
    (task,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["company/work"], start=True)).result["resources"]
    await until(lambda: _waiting(service) == 1)
    await rpc.call("awf.task/success", id=task["id"], execId=task["execId"], result={"value": "{}"})
    execution = (await waiting).json()["resource"]
    assert (execution["status"], execution["state"]) == ("done", "SUCCESS")
    fail = {"id": "tell", "type": "core.execution.Fail"}
    await put(rpc, {"wait": True, "returnOutputs": True}, fail)
    assert (await http.post(ADDRESS)).json()["resource"]["state"] == "FAILED"


async def test_who_hangs_up_waits_no_longer_and_the_execution_goes_on(
    rpc: Rpc, http: httpx2.AsyncClient, service: Running
) -> None:
    await put(rpc, {"wait": True}, {"id": "tell", "type": "company/work"})
    with pytest.raises(httpx2.TimeoutException):
        await http.post(ADDRESS, timeout=0.5)
    await until(lambda: _waiting(service) == 0)
    assert (await rpc.call("awf.workflow/list", filter={"status": "in-progress"})).result["total"] == 1


async def test_a_key_may_be_a_secret(rpc: Rpc, http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    await put(rpc, {"key": "{{ kv('hook') }}"})
    assert (await http.post("/api/v1/webhook/company.team/hooked/abc")).status_code == 404
    assert "trigger hook of the flow company.team.hooked has no key" in caplog.text
    await rpc.call("awf.kv/put", namespace="company.team", key="hook", value="abc")
    assert (await http.post("/api/v1/webhook/company.team/hooked/abc")).status_code == 200


@pytest.mark.parametrize("key", ["", "{{ '' }}", "{{ kv('hook') }}"])
async def test_an_empty_key_is_none(rpc: Rpc, http: httpx2.AsyncClient, key: str) -> None:
    await rpc.call("awf.kv/put", namespace="company.team", key="hook", value="")
    await put(rpc, {"key": key})
    assert (await http.post("/api/v1/webhook/company.team/hooked/")).status_code == 404


@pytest.mark.parametrize("query", ["a=%00", "%00=a"])
async def test_a_parameter_with_a_nul_starts_nothing(rpc: Rpc, http: httpx2.AsyncClient, query: str) -> None:
    await put(rpc)
    reply = await http.post(f"{ADDRESS}?{query}")
    assert (reply.status_code, reply.json()["error"]["type"]) == (422, "invalid-params")
    assert "has a NUL, which cannot be stored" in reply.text
    assert (await rpc.call("awf.workflow/list")).result["total"] == 0


async def test_a_webhook_needs_no_key_but_its_own(database_url: str, rpc: Rpc) -> None:
    await put(rpc)
    async with connected(database_url) as connection:
        await add_key(connection, "k", "admin", digest_of(new_key("k").encode()), None)
    async with running_service(database_url) as server, httpx2.AsyncClient(base_url=server.url) as http:
        assert (await http.post("/rpc", json={"method": "awf.flow/list"})).status_code == 401
        assert (await http.post(ADDRESS)).status_code == 200


async def test_a_webhook_is_stopped_by_a_state(rpc: Rpc, http: httpx2.AsyncClient) -> None:
    await put(rpc, {"stopAfter": ["SUCCESS"], "wait": True})
    assert (await http.post(ADDRESS)).status_code == 200
    assert (await http.post(ADDRESS)).status_code == 404
