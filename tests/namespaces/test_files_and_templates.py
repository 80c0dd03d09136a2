"""Files that flows of a namespace share, and templates with their revisions."""

import asyncio
import base64
from typing import Any

import pytest

from taskrpc.errors import TaskRpcError
from tests.engine.headless import headless
from tests.services import Rpc

TEAM = {"namespace": "company.team"}
TASKS = [{"id": "a", "type": "core.log.Log", "message": "x"}]


@pytest.mark.parametrize("content", [b"", b"a\n", bytes(range(256)), "größe".encode(), b"a\0b"])
async def test_a_file_comes_back_byte_by_byte(rpc: Rpc, content: bytes) -> None:
    await rpc.call("awf.namespace-file/put", **TEAM, path="f", contentBase64=base64.b64encode(content).decode())
    got = (await rpc.call("awf.namespace-file/get", **TEAM, path="f")).result["resource"]
    back = got["content"].encode() if "content" in got else base64.b64decode(got["contentBase64"])
    assert back == content
    assert got["size"] == len(content)


async def test_a_file_has_a_size(rpc: Rpc) -> None:
    await rpc.call("awf.namespace-file/put", **TEAM, path="f", content="x" * 4 * 2**20)
    refused = await rpc.call("awf.namespace-file/put", **TEAM, path="f", content="x" * (4 * 2**20 + 1))
    assert refused.error["message"] == "content: a file has at most 4194304 bytes, not 4194305"


async def test_the_engine_reads_contents(database_url: str) -> None:
    async with headless(database_url, loops=False) as server:
        await server.call("awf.namespace-file/put", **TEAM, path="f", contentBase64="AP8=")
        files = server.parts.services.namespaces.files
        assert await files.content("company.team", "f") == b"\0\xff"
        with pytest.raises(TaskRpcError, match="namespace-file-not-found"):
            await files.content("company.team", "g")


async def test_revisions_that_are_put_at_the_same_moment_are_all_there(database_url: str) -> None:
    async with headless(database_url, loops=False) as server, headless(database_url, loops=False) as other:

        async def put(number: int) -> Any:
            at = (server, other)[number % 2]
            tasks = [{**TASKS[0], "message": f"{number}"}]
            return (await at.call("awf.template/put", **TEAM, id="t", tasks=tasks))["resource"]

        put_there = await asyncio.gather(*(put(number) for number in range(30)))
        assert sorted(each["revision"] for each in put_there) == list(range(1, 31))
        for each in put_there:
            got = await server.call("awf.template/get", **TEAM, id="t", revision=each["revision"])
            assert got["resource"] == each


async def test_a_template_that_changes_while_it_is_deleted_is_deleted(database_url: str) -> None:
    async with headless(database_url, loops=False) as server:
        await server.call("awf.template/put", **TEAM, id="t", tasks=TASKS)

        async def change() -> None:
            for number in range(20):
                await server.call("awf.template/put", **TEAM, id="t", tasks=[{**TASKS[0], "message": f"{number}"}])

        _, deleted = await asyncio.gather(change(), server.call("awf.template/delete", **TEAM, id="t"))
        assert deleted == {}
        last = await server.call("awf.template/put", **TEAM, id="t", tasks=[{**TASKS[0], "message": "last"}])
        assert last["resource"]["revision"] == 23


async def test_a_template_has_a_size(rpc: Rpc) -> None:
    big = [{**TASKS[0], "message": "x" * 256 * 1024}]
    refused = await rpc.call("awf.template/put", **TEAM, id="t", tasks=big)
    assert refused.error["message"].startswith("tasks: a template has at most 262144 bytes")
