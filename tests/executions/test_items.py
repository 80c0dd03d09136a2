"""ForEachItem: the server cuts files into batches and puts outputs together; subflows that failed are restarted."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests.engine.headless import Headless
from tests.executions.flows import Flows, work

ROWS = b"a1\nb1\na2\nb2\na3\n"


async def write(server: Headless, path: str, content: bytes) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    await server.parts.services.files.write(path, pieces())
    return f"kestra:///{path}"


async def read(server: Headless, uri: str) -> str:
    return (await server.parts.services.files.content(uri, 10_000)).decode()


def items(uri: str, batch: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The task."""
    return {
        "id": "each", "type": "core.flow.ForEachItem", "items": uri, "namespace": "company.team", "flowId": "sub",
        "batch": batch, "inputs": {"file": "{{ taskrun.items }}"}, **more,
    }  # fmt: skip


async def sub(flows: Flows, *tasks: dict[str, Any]) -> None:
    echo = {"id": "echo", "type": "core.debug.Return", "format": "{{ read(inputs.file) }}"}
    output = {"id": "seen", "type": "STRING", "value": "{{ outputs.echo.value }}"}
    await flows.put(echo, *tasks, id="sub", inputs=[{"id": "file", "type": "FILE"}], outputs=[output])


@pytest.mark.parametrize(
    ("batch", "batches"),
    [
        ({"rows": 2}, ["a1\nb1\n", "a2\nb2\n", "a3\n"]),
        ({"bytes": "8B"}, ["a1\nb1\n", "a2\nb2\n", "a3\n"]),
        ({"partitions": 2}, ["a1\na2\na3\n", "b1\nb2\n"]),
        ({"regexPattern": "^(.)"}, ["a1\na2\na3\n", "b1\nb2\n"]),
        ({"rows": 1, "separator": "2"}, ["a1\nb1\na2", "\nb2", "\na3\n2"]),
    ],
)
async def test_a_file_is_cut_and_outputs_are_put_together(
    flows: Flows, server: Headless, batch: dict[str, Any], batches: list[str]
) -> None:
    await sub(flows)
    await flows.put(items(await write(server, "items.txt", ROWS), batch))
    id = await flows.begin()
    await flows.ended(id, "SUCCESS")
    _, split, each, merge = await flows.runs(id)
    assert len((await read(server, split["outputs"]["splits"])).splitlines()) == len(batches)
    assert each["outputs"]["numberOfBatches"] == len(batches)
    records = (await read(server, merge["outputs"]["subflowOutputs"])).splitlines()
    assert [orjson.loads(record) for record in records] == [{"seen": batch} for batch in batches]


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ({"rows": "{{ 'x' }}"}, "a whole number"),
        ({"bytes": "much"}, "a size like 512KB"),
        ({"regexPattern": "("}, "is no regular expression: missing )"),
    ],
)
async def test_a_batch_that_cannot_be_made_fails_its_task(
    flows: Flows, server: Headless, batch: dict[str, Any], problem: str
) -> None:
    await sub(flows)
    await flows.put(items(await write(server, "items.txt", ROWS), batch))
    id = await flows.begin()
    await flows.ended(id, "FAILED")
    split = (await flows.runs(id))[1]
    assert problem in split["error"]["message"]


async def test_a_file_that_is_not_there_fails_the_task(flows: Flows) -> None:
    await sub(flows)
    await flows.put(items("kestra:///nothing.txt", {"rows": 1}))
    id = await flows.begin()
    await flows.ended(id, "FAILED")
    assert "There is no file" in (await flows.runs(id))[1]["error"]["message"]


async def test_a_restart_restarts_the_subflows_that_failed(flows: Flows, server: Headless) -> None:
    await sub(flows, work())
    await flows.put(items(await write(server, "items.txt", b"a\nb\n"), {"rows": 1}))
    id = await flows.begin()
    await flows.work()
    failed = await flows.fail()
    await flows.ended(id, "FAILED")
    await flows.call("awf.workflow/restart", id=id)
    again = await flows.work()
    assert again["requester"]["id"] == failed["requester"]["id"], "the same execution goes on"
    await flows.ended(id, "SUCCESS")
