"""The lines that requests leave in the log: one each, whatever clients write into them."""

import logging

import orjson
import pytest

from taskrpc.logs import JsonFormatter, TextFormatter
from tests.web.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORGED = "x\n2026-01-31T12:00:00.000000Z ERROR forged\r\x1b[31m\x85\u2028"


async def record_of(
    target: Target, caplog: pytest.LogCaptureFixture, body: object, request_id: str
) -> logging.LogRecord:
    caplog.set_level(logging.DEBUG, "taskrpc.requests")
    await target.rpc.send(orjson.dumps(body), {"content-type": "application/json", "x-request-id": request_id})
    (record,) = [record for record in caplog.records if record.name == "taskrpc.requests"]
    return record


async def test_a_request_is_one_line_that_names_its_method_task_and_status(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"method": "awf.task/status", "params": {"id": "running"}}
    record = await record_of(target, caplog, body, "request-1")
    text, fields = TextFormatter().format(record), orjson.loads(JsonFormatter().format(record))
    assert " DEBUG awf.task/status 200 request=request-1 method=awf.task/status task=running status=200 ms=" in text
    assert (fields["request"], fields["method"], fields["task"], fields["status"]) == (
        "request-1", "awf.task/status", "running", 200,
    )  # fmt: skip


async def test_a_client_cannot_forge_a_line(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    record = await record_of(target, caplog, {"method": FORGED, "params": {"id": FORGED}}, "request-3")
    text, line = TextFormatter().format(record), JsonFormatter().format(record)
    assert text.splitlines() == [text]
    assert text.isprintable()
    assert r"method=x\n2026-01-31T12:00:00.000000Z ERROR forged\r\x1b[31m\x85\u2028" in text
    assert "\n" not in line
    assert orjson.loads(line)["method"] == FORGED


async def test_a_batch_is_one_line_that_tells_how_many_calls_it_had(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    record = await record_of(target, caplog, [{"method": "awf.definition/list"}] * 3, "request-2")
    assert " DEBUG awf.definition/list and 2 more 200 request=request-2 " in TextFormatter().format(record)
