"""The OpenAPI documents, held against the service by schemathesis: no 500, and no answer that they do not allow."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from taskrpc.app import Running
from taskrpc.engine.caller import Caller
from taskrpc.engine.dispatcher import Dispatcher
from taskrpc.engine.results import Results
from taskrpc.rpc.registry import methods
from taskrpc.web.rest_path import PREFIX
from tests.databases import connected
from tests.services import Rpc, running_service

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
DEADLINE_SECONDS = 240
SHORT_SECONDS = 0.01
CONFIG = """
[parameters]
workflowId = "fuzzed"
namespace = "fuzzed"
flowId = "fuzzed"
key = "fuzzed"
"""


async def _fuzz(url: str, place: Path, *options: str) -> None:
    """Runs schemathesis against a server; fails with what it found."""
    (place / "schemathesis.toml").write_text(CONFIG)
    command = [
        str(Path(sys.executable).parent / "st"), "run", url, "--checks", CHECKS, "--generation-database", "none",
        "--no-color", "--request-timeout", "10", "--seed", "7", *options,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=place, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    assert " passed" in out.decode()


async def _document(service: Running, name: str) -> Any:
    async with httpx2.AsyncClient(base_url=service.url) as http:
        return (await http.get(f"/openapi/{name}.json")).json()


async def test_the_document_of_rpc_has_every_method(service: Running) -> None:
    document = await _document(service, "rpc")
    assert document["openapi"] == "3.1.0"
    calls = document["components"]["schemas"]["Call"]["oneOf"]
    assert {call["title"] for call in calls} == set(methods())
    assert all(call["description"] for call in calls)


async def test_the_document_of_rest_has_every_call(service: Running) -> None:
    document = await _document(service, "rest")
    of_workflow = f"{PREFIX}/{{workflowId}}/task"
    found = {(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"}
    assert found == {
        (of_workflow, "post"), (of_workflow, "delete"), (f"{of_workflow}/status", "get"),
        (f"{of_workflow}/{{taskId}}", "delete"), (f"{of_workflow}/{{taskId}}/status", "get"),
        (f"{of_workflow}/{{taskId}}/response", "get"), (f"{of_workflow}/{{taskId}}/request", "get"),
    }  # fmt: skip


async def test_rest_answers_as_its_document_says(service: Running, rpc: Rpc, tmp_path: Path, database_url: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
    await rpc.call("awf.definition/put", id="fuzzed", params=schema)
    await _fuzz(f"{service.url}/openapi/rest.json", tmp_path, "--max-examples", "15")
    async with connected(database_url) as observer:
        numbers = "select last_value from pg_sequences where schemaname = 'taskrpc' and sequencename = 'log_seq_seq'"
        assert await observer.fetchval(numbers) > 20, "tasks were created, not only refused"


async def test_the_document_of_files_has_every_call(service: Running) -> None:
    document = await _document(service, "files")
    (path,) = document["paths"].items()
    assert (path[0], set(path[1]) - {"parameters"}) == ("/files/{path}", {"put", "get", "head"})


async def test_files_are_answered_as_their_document_says(database_url: str, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    async with running_service(database_url, storage=str(storage), max_file=2**20) as server:
        await _fuzz(f"{server.url}/openapi/files.json", tmp_path, "--max-examples", "60")
    stored = sum(1 for path in (storage / "files").rglob("*") if path.is_file())
    assert stored > 5, "files were stored, not only refused"


async def test_webhooks_are_answered_as_their_document_says(service: Running, rpc: Rpc, tmp_path: Path) -> None:
    (path,) = (await _document(service, "webhooks"))["paths"].items()
    assert (path[0], set(path[1])) == ("/api/v1/webhook/{namespace}/{flowId}/{key}", {"parameters", "post"})
    trigger = {"id": "hook", "type": "core.trigger.Webhook", "key": "fuzzed"}
    task = {"id": "tell", "type": "core.log.Log", "message": "{{ trigger.body }}"}
    await rpc.call("awf.flow/put", id="fuzzed", namespace="fuzzed", tasks=[task], triggers=[trigger])
    await _fuzz(f"{service.url}/openapi/webhooks.json", tmp_path, "--max-examples", "30")
    assert (await rpc.call("awf.workflow/list")).result["total"] > 5, "flows were started, not only refused"


async def test_rpc_answers_as_its_document_says(
    service: Running, rpc: Rpc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, awaited = Dispatcher.poll, Results.awaited

    async def poll_shortly(self: Any, queues: Any, most: int, seconds: float, start: bool, caller: Caller) -> Any:
        return await poll(self, queues, most, min(seconds, SHORT_SECONDS), start, caller)

    async def awaited_shortly(self: Any, task_id: str, look: Any, seconds: float, caller: Caller) -> Any:
        return await awaited(self, task_id, look, min(seconds, SHORT_SECONDS), caller)

    monkeypatch.setattr(Dispatcher, "poll", poll_shortly)
    monkeypatch.setattr(Results, "awaited", awaited_shortly)
    await _fuzz(f"{service.url}/openapi/rpc.json", tmp_path, "--phases", "coverage,fuzzing", "--max-examples", "100")
