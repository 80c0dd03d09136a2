"""Asynchronous workflows over REST: what its calls mean for tasks, and what tasks mean for its calls."""

import asyncio
import gzip
import logging
from typing import Any

import asyncpg
import httpx2
import pytest

from taskrpc.app import Running
from taskrpc.engine import submissions as engine
from taskrpc.engine.submissions import AsynchronousWorkflows
from taskrpc.store import submissions as store
from tests.databases import Clock, connected
from tests.services import Rpc, running_service, until
from tests.system.waiting import until as eventually

FLOW = "test-flow"
HOUR = 3600


class Rest:
    """Calls about the tasks of one workflow."""

    def __init__(self, http: httpx2.AsyncClient, flow: str = FLOW) -> None:
        self._http = http
        self._path = f"/api/v1/runtime/workflow/{flow}/task"

    def of(self, flow: str) -> "Rest":
        return Rest(self._http, flow)

    async def call(self, method: str, rest: str = "", **further: Any) -> httpx2.Response:
        return await self._http.request(method, self._path + rest, **further)

    async def create(self, body: Any = None, query: str = "", **headers: str) -> str:
        reply = await self.call("POST", query, json=body or {}, headers=headers)
        assert reply.status_code == 202, reply.text
        task_id: str = reply.json()["taskId"]
        return task_id

    async def status(self, task_id: str) -> str:
        reply = await self.call("GET", f"/{task_id}/status")
        status: str = reply.json()["status"] if reply.status_code == 200 else reply.json()["details"]["type"]
        return status

    async def statuses(self, query: str = "") -> dict[str, str]:
        found: dict[str, str] = (await self.call("GET", f"/status{query}")).json()["taskStatusMap"]
        return found

    async def delete(self, task_id: str) -> int:
        return (await self.call("DELETE", f"/{task_id}")).status_code


@pytest.fixture
async def rest(service: Running, rpc: Rpc) -> Any:
    """Calls about a workflow that is defined and has no tasks yet."""
    await rpc.call("awf.definition/put", id=FLOW)
    async with httpx2.AsyncClient(base_url=service.url, timeout=30) as http:
        yield Rest(http)


async def _ended(rpc: Rpc, task_id: str) -> Any:
    return (await rpc.call("awf.task/result", id=task_id)).result["resource"]


async def _succeed(rpc: Rpc, *definitions: str, result: Any = None) -> None:
    for task in await rpc.poll(*definitions or (FLOW,), start=True, maxBatchSize=100):
        await rpc.call("awf.task/success", id=task["id"], execId=task["execId"], result=result)


async def _count(database_url: str, table: str) -> int:
    async with connected(database_url) as observer:
        count: int = await observer.fetchval(f"select count(*) from taskrpc.{table}")
        return count


async def test_defaults_are_filled_in_and_the_request_is_still_the_body_as_it_was_sent(rest: Rest, rpc: Rpc) -> None:
    schema = {"type": "object", "properties": {"language": {"default": "en"}}}
    await rpc.call("awf.definition/put", id=FLOW, params=schema)
    task_id = await rest.create({"text": "x", "n": 1.50})
    (task,) = await rpc.poll(FLOW)
    assert task["params"] == {"text": "x", "n": 1.5, "language": "en"}
    assert (await rest.call("GET", f"/{task_id}/request")).json() == {"text": "x", "n": 1.5}


@pytest.mark.parametrize("written", ["test%2Fflow%20a", "test~flow%20a"])
async def test_the_id_of_a_workflow_may_have_slashes(rest: Rest, rpc: Rpc, written: str) -> None:
    await rpc.call("awf.definition/put", id="test/flow a")
    await rest.of(written).create()
    (task,) = await rpc.poll("test/flow a")
    assert await rest.of(written).status(task["id"]) == "RUNNING"


async def test_a_name_without_a_definition_is_known_as_long_as_it_has_tasks(rest: Rest, rpc: Rpc) -> None:
    other = rest.of("undefined")
    assert (await other.call("POST", json={})).json()["details"]["type"] == "definition-not-found"
    assert (await other.call("GET", "/t1/status")).json()["details"]["type"] == "definition-not-found"
    created = await rpc.create("undefined")
    assert (await other.call("GET", "/t1/status")).json()["details"]["type"] == "task-not-found"
    second = await other.create()
    assert await other.statuses() == {created["id"]: "RUNNING", second: "RUNNING"}
    assert (await other.call("DELETE")).status_code == 204
    assert (await other.call("DELETE")).status_code == 404


async def test_a_task_that_waits_for_its_retry_is_running(rest: Rest, rpc: Rpc) -> None:
    task_id = await rest.create()
    (task,) = await rpc.poll(FLOW, start=True)
    failed = await rpc.call("awf.task/fail", id=task_id, execId=task["execId"])
    assert failed.result["resource"]["status"] == "waiting"
    assert await rest.status(task_id) == "RUNNING"


async def test_a_task_is_dropped_when_the_timeout_of_its_definition_has_passed(
    clock: Clock, rest: Rest, rpc: Rpc, service: Running
) -> None:
    await rpc.call("awf.definition/put", id=FLOW, timeout=60_000)
    task_id = await rest.create()
    await clock.advance(61)
    service.reaper.poke()
    await _ended(rpc, task_id)
    assert await rest.status(task_id) == "DROPPED"
    response = await rest.call("GET", f"/{task_id}/response")
    assert response.status_code == 200
    assert response.json()["message"] == "The timeout of the definition has passed"
    assert response.json()["details"]["reason"]["type"] == "awf.task/dropped"


async def test_what_came_over_rest_is_dropped_when_its_definition_is_deleted(rest: Rest, rpc: Rpc) -> None:
    waiting, running = await rest.create(), await rest.create()
    elsewhere = (await rpc.create(FLOW))["id"]
    await rpc.call("awf.task/poll", taskDefinitions=[FLOW], start=True)
    await rpc.call("awf.definition/delete", id=FLOW)
    for task_id in (waiting, running):
        await _ended(rpc, task_id)
        assert await rest.status(task_id) == "DROPPED"
        response = (await rest.call("GET", f"/{task_id}/response")).json()
        assert response["message"] == "The definition was deleted"
    assert await rest.status(elsewhere) == "RUNNING"
    refused = await rest.call("POST", json={})
    assert (refused.status_code, refused.json()["details"]["type"]) == (404, "definition-not-found")
    await rpc.call("awf.definition/put", id=FLOW)
    assert await rest.status(await rest.create()) == "RUNNING"


async def test_traces_are_kept_for_24_hours_after_creation(
    clock: Clock, rest: Rest, rpc: Rpc, database_url: str
) -> None:
    early, late = await rest.create(), await rest.create()
    elsewhere = (await rpc.create(FLOW))["id"]
    (task,) = await rpc.poll(FLOW, start=True)
    assert task["id"] == early
    await rpc.call("awf.task/success", id=early, execId=task["execId"], result=1)
    await clock.advance(24 * HOUR - 60)
    assert await rest.status(early) == "COMPLETED"
    await clock.advance(120)
    await _gone(rest, early)
    assert await rest.status(late) == "RUNNING", "what is not done stays"
    await rpc.call("awf.task/cancel", id=late)
    await rpc.call("awf.task/cancel", id=elsewhere)
    await clock.advance(HOUR - 60)
    assert await rest.status(late) == "ERROR", "its outcome can be fetched for an hour"
    await clock.advance(120)
    await _gone(rest, late)
    assert await rest.status(elsewhere) == "ERROR"
    async with connected(database_url) as observer:
        assert await observer.fetchval("select array_agg(distinct task_id) from taskrpc.log") == [elsewhere]


async def _gone(rest: Rest, task_id: str) -> None:
    async def is_gone() -> bool:
        return await rest.status(task_id) == "task-not-found"

    await eventually(is_gone)


async def test_the_retention_of_a_definition_counts_more(clock: Clock, rest: Rest, rpc: Rpc) -> None:
    await rpc.call("awf.definition/put", id=FLOW, retention=60_000)
    task_id = await rest.create()
    await _succeed(rpc)
    await clock.advance(61)
    await _gone(rest, task_id)


async def test_the_traces_of_a_workflow_go_with_all_that_it_has_started(
    clock: Clock, rest: Rest, rpc: Rpc, database_url: str
) -> None:
    await rpc.call("awf.definition/put", id=FLOW, kind="workflow")
    task_id = await rest.create()
    await _decide(rpc, FLOW, {"action": "awf.workflow.action/schedule-workflow", "task-request": {"definition": "in"}})
    await _decide(rpc, "in", {"action": "awf.workflow.action/schedule-task", "task-request": {"definition": "work"}})
    await _succeed(rpc, "work")
    await _decide(rpc, "in", {"action": "awf.workflow.action/complete-workflow"})
    await _decide(rpc, FLOW, {"action": "awf.workflow.action/complete-workflow", "result": 7})
    assert (await rest.call("GET", f"/{task_id}/response")).json() == 7
    await clock.advance(24 * HOUR + 1)

    async def nothing_is_left() -> bool:
        return not await _count(database_url, "task") and not await _count(database_url, "log")

    await eventually(nothing_is_left)


async def _decide(rpc: Rpc, definition: str, action: Any) -> None:
    polled = await rpc.call("awf.task/long-poll", workflowDefinitions=[definition], start=True)
    (decision,) = polled.result["resources"]
    await rpc.call("awf.task/success", id=decision["id"], execId=decision["execId"], result=[action])


async def test_a_running_workflow_is_deleted_with_all_that_it_has_started(
    rest: Rest, rpc: Rpc, database_url: str
) -> None:
    await rpc.call("awf.definition/put", id=FLOW, kind="workflow")
    await rpc.call("awf.definition/put", id="work", concurrencyLimit=1)
    task_id = await rest.create()
    await _decide(rpc, FLOW, {"action": "awf.workflow.action/schedule-workflow", "task-request": {"definition": "in"}})
    await _decide(rpc, "in", {"action": "awf.workflow.action/schedule-task", "task-request": {"definition": "work"}})
    (activity,) = await rpc.poll("work", start=True)
    held = await rpc.create("work")
    assert await rest.delete(task_id) == 204
    (admitted,) = (await rpc.call("awf.task/long-poll", taskDefinitions=["work"])).result["resources"]
    assert admitted["id"] == held["id"], "its slot was passed on"
    late = await rpc.call("awf.task/success", id=activity["id"], execId=activity["execId"])
    assert late.error["type"] == "task-not-found"
    assert await _count(database_url, "task") == 1
    assert await _count(database_url, "event") == 0


async def test_deleting_what_runs_gives_its_place_in_the_queue_back(rest: Rest, rpc: Rpc) -> None:
    await rpc.call("awf.definition/put", id=FLOW, queueLimit=2, concurrencyLimit=1)
    running, queued = await rest.create(), await rest.create()
    await rpc.poll(FLOW, start=True)
    assert (await rest.call("POST", json={})).status_code == 429
    assert await rest.delete(running) == 204
    third = await rest.create()
    assert await rest.statuses() == {queued: "RUNNING", third: "RUNNING"}
    (task,) = await rpc.poll(FLOW)
    assert task["id"] == queued


async def test_whoever_waits_for_the_result_of_what_is_deleted_learns_that_it_is_gone(
    rest: Rest, rpc: Rpc, service: Running
) -> None:
    task_id = await rest.create()
    async with Rpc(service.url) as other:
        waiting = asyncio.ensure_future(other.call("awf.task/result", id=task_id))
        await until(lambda: len(service.services.tasks._results._waiting) == 1)
        assert await rest.delete(task_id) == 204
        assert (await waiting).error["type"] == "task-not-found"


async def test_a_delete_waits_for_whoever_holds_a_row(rest: Rest, database_url: str) -> None:
    first, second = await rest.create(), await rest.create()
    async with connected(database_url) as holder:
        async with holder.transaction():
            await holder.execute("select from taskrpc.task where id = $1 for update", second)
            deleting = asyncio.ensure_future(rest.call("DELETE", "?taskStatuses=RUNNING"))
            single = asyncio.ensure_future(rest.call("DELETE", f"/{second}"))
            await _until_blocked(holder, first)
            assert not deleting.done()
            assert not single.done()
        assert {(await deleting).status_code, (await single).status_code} <= {204, 404}
    assert await rest.statuses() == {}


async def _until_blocked(holder: asyncpg.Connection, task_id: str) -> None:
    """Some statements later: what is deleted together is deleted together, so the first is still there."""
    for _ in range(20):
        assert await holder.fetchval("select exists (select from taskrpc.task where id = $1)", task_id)
        await asyncio.sleep(0.005)


async def test_a_failed_task_that_is_tried_again_meanwhile_is_not_deleted_as_an_error(
    rest: Rest, rpc: Rpc, service: Running
) -> None:
    task_id = await rest.create()
    await rpc.call("awf.task/cancel", id=task_id)
    store = service.services.asynchronous._store
    assert set(await store.statuses(FLOW, ["ERROR"])) == {task_id}
    await rpc.call("awf.task/retry", id=task_id)
    assert not (await store.delete(FLOW, [task_id], ["ERROR"])).ids
    assert await rest.status(task_id) == "RUNNING"


async def test_hundreds_are_deleted_at_once(rest: Rest, rpc: Rpc) -> None:
    calls = [{"method": "awf.task/create-and-execute", "params": {"definition": FLOW}} for _ in range(450)]
    await rpc.post(calls)
    assert len(await rest.statuses()) == 450
    assert (await rest.call("DELETE")).status_code == 204
    assert await rest.statuses() == {}


@pytest.mark.parametrize(("body", "headers", "status", "type"), [
    (b"{", {}, 400, "unparsable-body"),
    (b"", {}, 400, "unparsable-body"),
    (b'"text"', {}, 422, "invalid-params"),
    (b'{"a": "' + b"x" * 2000 + b'"}', {}, 413, "body-too-large"),
    (gzip.compress(b"{}", mtime=0), {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
    (b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "unsupported-media-type"),
    (b"{}", {"x-correlation-id": "x" * 256}, 422, "invalid-params"),
])  # fmt: skip
async def test_bad_submissions_are_refused(
    database_url: str, body: bytes, headers: dict[str, str], status: int, type: str
) -> None:
    async with running_service(database_url, max_body=1024) as server, Rpc(server.url) as rpc:
        await rpc.call("awf.definition/put", id=FLOW)
        async with httpx2.AsyncClient(base_url=server.url) as http:
            reply = await Rest(http).call("POST", content=body, headers=headers)
            assert (reply.status_code, reply.json()["details"]["type"]) == (status, type)
            assert await Rest(http).statuses() == {}


@pytest.mark.parametrize("path", [
    "/api/v1/runtime/workflow/", "/api/v1/runtime/workflow/x/task/", "/api/v1/runtime/workflow/x/task/y/z",
    "/api/v1/runtime/workflow/%ff/task", "/api/v1/runtime/workflow/%00/task", "/api/v1%2Fruntime/workflow/x/task",
    "/api/v1/runtime/workflow/x/task/%ff/status", "/api/v1/runtime/workflow/x/jobs",
])  # fmt: skip
async def test_paths_that_lead_nowhere(service: Running, path: str) -> None:
    async with httpx2.AsyncClient(base_url=service.url) as http:
        reply = await http.get(path)
        assert reply.status_code == 404
        assert "not-found" in reply.text


async def test_an_id_that_no_task_can_have_is_not_found(rest: Rest) -> None:
    assert await rest.status("a%20b") == "task-not-found"
    assert await rest.delete("a%20b") == 404
    assert await rest.statuses("?taskIds=a%20b,,c") == {}
    assert await rest.statuses("?taskIds=") == {}


async def test_a_query_is_given_once(rest: Rest) -> None:
    reply = await rest.call("GET", "/status?taskIds=a&taskIds=b")
    assert (reply.status_code, reply.json()["details"]["type"]) == (422, "invalid-params")


async def test_a_task_may_be_called_status(rest: Rest, rpc: Rpc) -> None:
    await rpc.create(FLOW, id="status")
    assert await rest.status("status") == "RUNNING"
    assert await rest.delete("status") == 204
    assert await rest.status("status") == "task-not-found"


async def test_head_answers_the_head_of_get(rest: Rest) -> None:
    reply = await rest.call("HEAD", "/status")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) == len(b'{"taskStatusMap":{}}')


async def test_a_call_with_a_correlation_id_is_logged_with_it(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "taskrpc.requests"):
        task_id = await rest.create({}, **{"x-correlation-id": "order-7"})
        await rest.status(task_id)
    (record,) = [record for record in caplog.records if record.name == "taskrpc.requests"]
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["correlation"], fields["status"]) == ("order-7", 202)
    assert fields["method"] == f"POST /api/v1/runtime/workflow/{FLOW}/task"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_correlation_id_is_found_by_the_text_that_was_sent(rest: Rest, rpc: Rpc, encoding: str) -> None:
    sent = "Größe 7".encode(encoding)
    reply = await rest.call("POST", json={}, headers=[(b"x-correlation-id", sent)])
    assert (b"x-correlation-id", sent) in [(name.lower(), value) for name, value in reply.headers.raw]
    found = (await rpc.get("/AidboxTask", **{".correlationId": "Größe 7"})).body
    assert [each["resource"]["id"] for each in found["entry"]] == [reply.json()["taskId"]]


async def test_a_defect_is_answered_with_its_incident(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(AsynchronousWorkflows, "status", broken)
    reply = await rest.call("GET", "/t1/status")
    assert (reply.status_code, reply.json()["details"]["type"]) == (500, "internal-error")
    assert reply.json()["details"]["incident"] in caplog.text


async def test_a_map_is_never_cut_silently(rest: Rest, rpc: Rpc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_LISTED", 2)
    monkeypatch.setattr(store, "MOST_LISTED", 2)
    tasks = [await rest.create() for _ in range(3)]
    reply = await rest.call("GET", "/status")
    assert (reply.status_code, reply.json()["details"]["type"]) == (422, "invalid-params")
    assert len(await rest.statuses(f"?taskIds={','.join(tasks)}")) == 3
    assert (await rest.call("DELETE")).status_code == 204
    assert await rest.statuses() == {}
