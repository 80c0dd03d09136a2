"""Reading over plain HTTP: bundles and their parameters, paths that lead nowhere, headers."""

from typing import Any

import pytest
import pytest_asyncio

from tests.services import Rpc
from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = {"waiting", "ready", "again", "requested", "running", "other", "stopping", "succeeded", "failed", "canceled"}


def ids(bundle: Any) -> list[str]:
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return [entry["resource"]["id"] for entry in bundle["entry"]]


@pytest_asyncio.fixture(loop_scope="module")
async def rpc(target: Target) -> Rpc:
    """Calls of the target, which has a task in every status."""
    return target.rpc


async def test_a_bundle_has_all_tasks_the_newest_first(rpc: Rpc) -> None:
    bundle = (await rpc.get("/AidboxTask")).body
    assert bundle["total"] == len(ALL)
    assert set(ids(bundle)) == ALL
    created = [entry["resource"]["meta"]["createdAt"] for entry in bundle["entry"]]
    assert created == sorted(created, reverse=True)
    assert all(entry["resource"]["resourceType"] == "AidboxTask" for entry in bundle["entry"])


async def test_count_0_answers_the_total_alone(rpc: Rpc) -> None:
    assert (await rpc.get("/AidboxTask?_count=0")).body == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(ALL),
        "entry": [],
    }


@pytest.mark.parametrize(("sort", "key", "reverse"), [
    ("createdAt", "createdAt", False),
    ("-createdAt", "createdAt", True),
    ("lastUpdated", "lastUpdated", False),
    ("-lastUpdated", "lastUpdated", True),
    ("_lastUpdated", "lastUpdated", False),
    ("-_lastUpdated", "lastUpdated", True),
    (".meta.createdAt", "createdAt", False),
    ("-.meta.lastUpdated", "lastUpdated", True),
])  # fmt: skip
async def test_pages_follow_each_other_in_the_order_of_the_sort(sort: str, key: str, reverse: bool, rpc: Rpc) -> None:
    pages = [(await rpc.get(f"/AidboxTask?_sort={sort}&_count=4&_page={page}")).body for page in (1, 2, 3, 4)]
    assert [len(page["entry"]) for page in pages] == [4, 4, 2, 0]
    times = [entry["resource"]["meta"][key] for page in pages for entry in page["entry"]]
    assert times == sorted(times, reverse=reverse)
    assert {each for page in pages for each in ids(page)} == ALL


@pytest.mark.parametrize(("query", "expected"), [
    (".status=ready", {"ready"}),
    (".status=done", {"succeeded", "failed", "canceled"}),
    (".outcome=failed", {"failed"}),
    (".status=done&.outcome=canceled", {"canceled"}),
    (".status=done&.status=done", {"succeeded", "failed", "canceled"}),
    (".id=running", {"running"}),
    (".definition=test/again", {"again"}),
    (".retryCount=1&definition=test/again", {"again"}),
    (".executeAt=2999-01-01T00:00:00.000000Z", {"waiting"}),
    (".outcomeReason.type=awf.task/failed-by-executor", {"failed"}),
    (".resourceType=AidboxTask&.id=ready", {"ready"}),
    ("definition=test/again", {"again"}),
    ("definition=test/again&definition=test/none", {"again"}),
    ("definition-not=test/task", {"again"}),
    ("definition-not=test/task&definition-not=test/again", set()),
    ("definition=test/task&definition-not=test/task", set()),
])  # fmt: skip
async def test_parameters_narrow_a_bundle_together(query: str, expected: set[str], rpc: Rpc) -> None:
    bundle = (await rpc.get(f"/AidboxTask?{query}")).body
    assert (set(ids(bundle)), bundle["total"]) == (expected, len(expected))


async def test_a_resource_is_the_same_everywhere(rpc: Rpc) -> None:
    for task in ALL:
        one = (await rpc.get(f"/AidboxTask/{task}")).body
        assert one == (await rpc.call("awf.task/status", id=task)).result["resource"]
        assert one == (await rpc.get(f"/AidboxTask?.id={task}")).body["entry"][0]["resource"]


async def test_tasks_are_no_workflows(rpc: Rpc) -> None:
    assert (await rpc.get("/AidboxWorkflow")).body["total"] == 0
    assert (await rpc.get("/AidboxWorkflow/running")).status == 404


async def test_the_log_of_a_task_is_its_history(rpc: Rpc) -> None:
    bundle = (await rpc.get("/AidboxTaskLog?.subject.id=failed&_sort=createdAt")).body
    actions = [entry["resource"]["action"].removeprefix("awf.task/") for entry in bundle["entry"]]
    assert actions == ["create-and-execute", "poll", "start", "fail"]
    first = bundle["entry"][0]["resource"]
    assert (await rpc.get(f"/AidboxTaskLog/{first['id']}")).body == first
    ends = (await rpc.get("/AidboxTaskLog?.status-after=done&.action=awf.task/success")).body
    assert [entry["resource"]["subject"]["id"] for entry in ends["entry"]] == ["succeeded"]


async def send(rpc: Rpc, method: str, path: str, **headers: str) -> Any:
    """Any request; what httpx answers."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await rpc._http.request(method, path, headers=names)


@pytest.mark.parametrize("path", [
    "/", "/rpc/", "/RPC", "/rpc/rpc", "/AidboxTask/", "/AidboxTask/a/b", "/AidboxTasks", "/aidboxtask", "/health",
    "/health/", "/favicon.ico", "/%72pc%2F", "/robots.txt",
])  # fmt: skip
async def test_a_path_that_leads_nowhere_is_not_found(path: str, target: Target) -> None:
    async with target.unharmed():
        response = await send(target.rpc, "GET", path)
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "not-found"
    assert "location" not in response.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_rpc_takes_post_only(method: str, target: Target) -> None:
    async with target.unharmed():
        response = await send(target.rpc, method, "/rpc")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        message = f"{method} is not possible here; use POST"
        assert response.json() == {"error": {"type": "method-not-allowed", "message": message}}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/AidboxTask", "/AidboxTask/running", "/AidboxTaskLog", "/health/live"])
async def test_resources_can_only_be_read(method: str, path: str, target: Target) -> None:
    async with target.unharmed():
        response = await send(target.rpc, method, path)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    message = f"{method} is not possible here; use GET"
    assert response.json() == {"error": {"type": "method-not-allowed", "message": message}}


async def test_a_resource_comes_in_yaml_to_those_who_ask_for_it(rpc: Rpc) -> None:
    response = await send(rpc, "GET", "/AidboxTask/running", accept="text/yaml")
    assert response.headers["content-type"] == "text/yaml; charset=utf-8"
    assert response.text.startswith("id: running\nresourceType: AidboxTask\n")


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])
async def test_a_resource_comes_in_json_to_browsers(accept: str, rpc: Rpc) -> None:
    response = await send(rpc, "GET", "/AidboxTask/running", accept=accept)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["id"] == "running"


async def test_a_resource_that_cannot_be_sent_as_asked_is_not_acceptable(rpc: Rpc) -> None:
    response = await send(rpc, "GET", "/AidboxTask/running", accept="image/png")
    assert (response.status_code, response.json()["error"]["type"]) == (406, "not-acceptable")


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/rpc"), ("GET", "/rpc"), ("GET", "/AidboxTask"), ("GET", "/AidboxTask/nobody"),
    ("GET", "/AidboxTask?x=y"), ("GET", "/nowhere"), ("POST", "/AidboxTask"),
])  # fmt: skip
async def test_the_id_of_a_request_is_echoed_or_made(method: str, path: str, rpc: Rpc) -> None:
    assert (await send(rpc, method, path, x_request_id="from-the-client")).headers["x-request-id"] == "from-the-client"
    assert (await send(rpc, method, path, x_request_id="x" * 1000)).headers["x-request-id"] == "x" * 100
    made = [(await send(rpc, method, path)).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
