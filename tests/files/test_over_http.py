"""`PUT` and `GET /files/{path}` over real connections: streams, ranges, paths that try to lead elsewhere."""

import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.files.conftest import FileServer
from tests.services import running_service, until

MIB = 2**20


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def test_a_file_is_put_and_got(server: FileServer) -> None:
    put = await server.http.put("/files/executions/1/gr%C3%B6%C3%9Fe%20%25.txt", content=b"hello")
    assert put.status_code == 201
    assert put.json() == {
        "resourceType": "AidboxFile",
        "uri": "kestra:///executions/1/gr%C3%B6%C3%9Fe%20%25.txt",
        "path": "executions/1/größe %.txt",
        "size": 5,
    }
    got = await server.http.get("/files/executions/1/gr%C3%B6%C3%9Fe%20%25.txt")
    assert (got.status_code, got.content) == (200, b"hello")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == "attachment"
    assert got.headers["x-request-id"]
    assert got.headers["last-modified"].endswith("GMT")


async def test_putting_again_replaces_the_file(server: FileServer) -> None:
    for content in (b"first", b"", b"third"):
        assert (await server.http.put("/files/f", content=content)).json()["size"] == len(content)
        assert (await server.http.get("/files/f")).content == content


async def test_a_head_has_no_body(server: FileServer) -> None:
    await server.http.put("/files/f", content=b"hello")
    head = await server.http.head("/files/f")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "5", b"")
    await until(lambda: server.open_files() == [])


async def test_large_files_stream_through_in_bounded_memory(server: FileServer) -> None:
    piece = os.urandom(MIB)

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(150):
            yield piece

    tracemalloc.start()
    try:
        put = await server.http.put("/files/big", content=upload(), timeout=60)
        assert put.json()["size"] == 150 * MIB
        size = 0
        async with server.http.stream("GET", "/files/big") as got:
            async for part in got.aiter_raw():
                size += len(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 150 * MIB
    assert peak < 16 * MIB, f"client and server had {peak} bytes at a time"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(
    database_url: str, tmp_path: Path, announced: bool
) -> None:
    settings: dict[str, Any] = {"storage": str(tmp_path), "max_file": 3 * MIB}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        for size in (3 * MIB, 3 * MIB + 1):
            content = b"x" * size if announced else pieces(b"x" * (2 * MIB), b"x" * (size - 2 * MIB))
            put = await http.put(f"/files/{size}", content=content)
        assert (put.status_code, put.json()["error"]["data"]) == (413, {"limit": 3 * MIB})
        assert (await http.get(f"/files/{size}")).status_code == 404
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [str(3 * MIB)]  # noqa: ASYNC240


@pytest.mark.parametrize(
    "target",
    [
        "/files/",
        "/files/..",
        "/files/../secret",
        "/files/a/../../secret",
        "/files/%2e%2e/secret",
        "/files/%2E%2E%2Fsecret",
        "/files/..%2fsecret",
        "/files//etc/passwd",
        "/files/%2Fetc/passwd",
        "/files/a%00b",
        "/files/a%5C..%5Cb",
        "/files/./a",
        "/files/a//b",
        "/files/a/",
        "/files/%FF",
        "/files/" + "x" * 256,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_path_that_leads_elsewhere_is_refused(server: FileServer, method: str, target: str) -> None:
    (server.directory.parent / "secret").write_text("secret")
    reader, writer = await server.connected()
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 422"), answer[:200]
    assert b"invalid-params" in answer
    assert server.stored() == []


async def test_a_file_may_have_the_name_of_the_place_where_uploads_begin(server: FileServer) -> None:
    await server.http.put("/files/incoming/x", content=b"1")
    assert server.stored() == ["files/incoming/x"]


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=-4", 206, b"6789", "bytes 6-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-3", 416, None, "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
    ],
)
async def test_a_range_is_answered(
    server: FileServer, asked: str, status: int, content: bytes | None, told: str | None
) -> None:
    await server.http.put("/files/f", content=b"0123456789")
    got = await server.http.get("/files/f", headers={"range": asked})
    assert (got.status_code, got.headers.get("content-range")) == (status, told)
    if content is None:
        assert got.json()["error"]["type"] == "range-not-satisfiable"
    else:
        assert got.content == content
    await until(lambda: server.open_files() == [])


async def test_a_range_with_a_condition_gets_the_whole_file(server: FileServer) -> None:
    await server.http.put("/files/f", content=b"0123456789")
    got = await server.http.get("/files/f", headers={"range": "bytes=1-2", "if-range": '"tag"'})
    assert (got.status_code, got.content) == (200, b"0123456789")


async def test_refusals_have_the_shape_of_all_errors(server: FileServer) -> None:
    missing = await server.http.get("/files/none")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "file-not-found")
    packed = await server.http.put("/files/f", content=b"x", headers={"content-encoding": "gzip"})
    assert (packed.status_code, packed.json()["error"]["type"]) == (415, "unsupported-media-type")
    removed = await server.http.delete("/files/f")
    assert (removed.status_code, removed.headers["allow"]) == (405, "GET, PUT")
    await server.http.put("/files/a", content=b"x")
    below = await server.http.put("/files/a/b", content=b"x")
    assert (below.status_code, below.json()["error"]["type"]) == (422, "invalid-params")


async def test_files_go_to_s3_and_come_back(database_url: str, bucket: str) -> None:
    settings: dict[str, Any] = {"storage": f"s3://{bucket}/files"}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        whole = os.urandom(9 * MIB)
        assert (await http.put("/files/a/b", content=whole, timeout=60)).status_code == 201
        assert (await http.get("/files/a/b", timeout=60)).content == whole
        got = await http.get("/files/a/b", headers={"range": "bytes=-3"})
        assert got.content == whole[-3:]
