"""The requests of the load generator are what the protocol wants, and it finds the tasks in answers."""

from typing import Any

import orjson
import pytest

from taskrpc.app import Running
from taskrpc.bench.connection import Crowd
from taskrpc.bench.messages import Messages, check_all, payload
from taskrpc.bench.plan import Form, Plan
from taskrpc.wire.codecs import JSON, YAML

TASK = (b"019a0000-0000-7000-8000-000000000001", b"5d1f0000-0000-4000-8000-000000000002")


def _split(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_request_says_its_own_length_and_names_the_execution(form: Form) -> None:
    messages = Messages(Plan("life-cycle", form=form))
    for request in (messages.create, messages.poll, messages.start(TASK), messages.success(TASK)):
        headers, body = _split(request)
        assert int(headers["Content-Length"]) == len(body)
    document: Any = (JSON if form == "json" else YAML).decode(_split(messages.start(TASK))[1])
    assert document == {"method": "awf.task/start", "params": {"id": TASK[0].decode(), "execId": TASK[1].decode()}}


@pytest.mark.parametrize("size", [100, 300, 20_000])
def test_a_payload_has_the_size_that_was_asked_for(size: int) -> None:
    assert len(orjson.dumps(payload(size))) == size


def test_a_payload_that_would_be_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        payload(3)


def test_a_refusal_in_a_list_is_found() -> None:
    check_all(b'[{"result":{}}]')
    with pytest.raises(ValueError, match="refused"):
        check_all(b'[{"result":{}},{"error":{"type":"wrong-status"}}]')


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_a_life_cycle_by_these_messages_ends_a_task(service: Running, form: Form) -> None:
    messages, crowd = Messages(Plan("life-cycle", form=form)), Crowd()
    client = await crowd.client(service.url)
    assert messages.tasks(await client.call(messages.poll)) == []
    await client.call(messages.create)
    (task,) = messages.tasks(await client.call(messages.poll))
    await client.call(messages.start(task))
    assert b"succeeded" in await client.call(messages.success(task))
    crowd.close()
