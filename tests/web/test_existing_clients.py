"""What executors that were written for the original API send, and that the server has to be content with."""

from typing import Any

import pytest

from tests.services import Rpc
from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODIES = {
    "json": b'{"method": "awf.task/poll", "params": {"taskDefinitions": ["test/none"]}}',
    "yaml": b"method: awf.task/poll\nparams:\n  taskDefinitions: [test/none]\n",
}


@pytest.mark.parametrize(("form", "content_type"), [
    ("json", None),
    ("json", ""),
    ("json", "application/json"),
    ("json", "application/json; charset=utf-8"),
    ("json", "application/json;charset=UTF-8"),
    ("json", 'application/json; charset="utf-8"'),
    ("json", "Application/JSON"),
    ("json", "application/fhir+json"),
    ("json", "application/vnd.api+json; charset=utf8"),
    ("yaml", "text/yaml"),
    ("yaml", "text/yaml; charset=utf-8"),
    ("yaml", "text/yaml;charset=UTF-8"),
    ("yaml", "application/yaml"),
    ("yaml", "application/x-yaml"),
    ("yaml", "text/x-yaml"),
    ("yaml", "TEXT/YAML"),
])  # fmt: skip
async def test_content_types_as_clients_write_them(form: str, content_type: str | None, target: Target) -> None:
    reply = await target.answer(BODIES[form], {} if content_type is None else {"content-type": content_type})
    assert (reply.status, reply.result) == (200, {"resources": []})
    assert form in reply.headers["content-type"]


@pytest.mark.parametrize(("accept", "form"), [
    ("*/*", "json"),
    ("application/json", "json"),
    ("application/json, text/plain, */*", "json"),
    ("application/json;q=0.9, text/yaml", "yaml"),
    ("text/yaml, application/json", "json"),
    ("text/yaml", "yaml"),
    ("text/*", "yaml"),
    ("application/*", "json"),
    ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "json"),
    ("text/yaml;charset=utf-8", "yaml"),
    ("application/transit+json, application/yaml", "yaml"),
])  # fmt: skip
async def test_accepts_as_clients_write_them(accept: str, form: str, target: Target) -> None:
    reply = await target.answer(BODIES["json"], {"content-type": "application/json", "accept": accept})
    assert (reply.status, reply.result) == (200, {"resources": []})
    assert form in reply.headers["content-type"]


async def execution(rpc: Rpc) -> dict[str, Any]:
    task = await rpc.started("test/clients")
    return {"id": task["id"], "execId": task["execId"]}


@pytest.mark.parametrize("prefix", ["awf.task/", "task/"])
async def test_unknown_params_are_ignored_by_the_six_methods_of_the_original(prefix: str, target: Target) -> None:
    rpc, further = target.rpc, {"worker": "w1", "pool": {"size": 3}, "callid": "x", "start?": True}
    await rpc.create("test/tolerant")
    polled = await rpc.call(f"{prefix}poll", taskDefinitions=["test/tolerant"], **further)
    (task,) = polled.result["resources"]
    assert task["status"] == "requested"
    waited = await rpc.call(f"{prefix}long-poll", taskDefinitions=["test/tolerant"], timeout=0, **further)
    assert waited.result == {"resources": []}
    call = {"id": task["id"], "execId": task["execId"]} | further
    assert (await rpc.call(f"{prefix}start", **call)).result["resource"]["status"] == "in-progress"
    notified = await rpc.call(f"{prefix}notify", **call, notification="heartbeat", percent=50)
    assert set(notified.result) == {"inProgressTimeoutAt", "inProgressTimeout"}
    assert (await rpc.call(f"{prefix}fail", **call)).result["resource"]["status"] == "waiting"
    call = await execution(rpc) | further
    assert (await rpc.call(f"{prefix}success", **call)).result["resource"]["outcome"] == "succeeded"


@pytest.mark.parametrize("notification", [
    {"notification": "heartbeat"},
    {"notification": "awf.task/heartbeat", "message": "alive"},
    {"notification": "heartbeat", "message": None},
    {"notification": "progress", "progress-current": 0},
    {"notification": "awf.task/progress", "progress-current": 5, "progress-total": 3, "progress-unit": "rows"},
    {"notification": "progress", "progress-current": 1, "progress-total": None},
    {"notification": "heartbeat", "progress-current": 1},
])  # fmt: skip
async def test_notifications_as_executors_send_them(notification: dict[str, Any], target: Target) -> None:
    reply = await target.rpc.call("awf.task/notify", **await execution(target.rpc), **notification)
    assert reply.status == 200


@pytest.mark.parametrize(("given", "kept"), [
    ({"error": {"why": 1}}, {"why": 1}),
    ({"result": {"why": 1}}, {"why": 1}),
    ({"error": "disk", "result": {"why": 1}}, "disk"),
    ({"error": None, "result": [1]}, [1]),
    ({"error": False}, False),
    ({"error": ""}, ""),
    ({"result": 0}, 0),
])  # fmt: skip
async def test_a_failure_is_told_as_error_or_as_result(given: dict[str, Any], kept: Any, target: Target) -> None:
    reply = await target.rpc.call("awf.task/fail", **await execution(target.rpc), **given)
    assert reply.result["resource"]["error"] == kept


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_documents_come_back_with_their_order_and_their_numbers(form: str, target: Target) -> None:
    document = {
        "z": 1, "a": {"y": 1.0, "b": 1e300, "0": -0.0}, "big": 2**64 - 1, "low": -(2**63),
        "texts": ["no", "1:30", "2023-05-04", "0x1F", "~", "", " ", "a\n", "é😀", "\x7f\x85\u2028", "- a: b #"],
        "rest": [None, True, False, [], {}, [[]]],
    }  # fmt: skip
    async with Rpc(target.server.url, form) as rpc:
        task = await rpc.started("test/documents", params=document)
        call = {"id": task["id"], "execId": task["execId"]}
        ended = (await rpc.call("awf.task/success", **call, result=[document])).result["resource"]
    for kept in (task["params"], ended["result"][0]):
        assert repr(kept) == repr(document)  # unlike ==, which knows neither order nor 1 from 1.0
