"""`PUT` and `GET /files/{path}` over real connections: streams, ranges, hang-ups, paths that try to lead elsewhere."""

import asyncio
import contextlib
import logging
import os
import resource
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.files.conftest import FileServer
from tests.services import running_service, until

MIB = 2**20


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def raw(server: FileServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(server.running.url)
    return await asyncio.open_connection(address.hostname, address.port)


def open_files(directory: Path) -> list[str]:
    """What this process, which is the server's too, has open below a directory."""
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return [link for link in links if link.startswith(str(directory))]


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
    await until(lambda: open_files(server.directory) == [])


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
    "head",
    [
        b"PUT /files/f HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000,
        b"PUT /files/f HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n7A120\r\n" + b"x" * 500_000 + b"\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_an_upload_that_breaks_off_leaves_what_was_there(server: FileServer, head: bytes) -> None:
    await server.http.put("/files/f", content=b"old")
    _, writer = await raw(server)
    writer.write(head)
    await until(lambda: len(server.stored()) == 2)  # it is being written, elsewhere
    assert (await server.http.get("/files/f")).content == b"old"
    writer.close()
    await until(lambda: server.stored() == ["files/f"])
    assert (await server.http.get("/files/f")).content == b"old"


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
    reader, writer = await raw(server)
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
    await until(lambda: open_files(server.directory) == [])


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


@pytest.fixture
def hurried() -> Iterator[None]:
    """Deadlines of less than a second instead of ten and sixty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taskrpc.web.sweeping.SWEEP_SECONDS", 0.02)
        for name, seconds in (("BYTE_SECONDS", 0.5), ("REQUEST_SECONDS", 0.3)):
            patch.setattr(f"taskrpc.web.protocol.{name}", seconds)
        yield


@pytest.mark.usefixtures("hurried")
async def test_an_upload_may_take_longer_than_a_request_but_not_fall_silent(server: FileServer) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await raw(server)
    writer.write(b"PUT /files/slow HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
    began = loop.time()
    while loop.time() - began < 0.9:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"0\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()
    reader, writer = await raw(server)
    writer.write(b"PUT /files/silent HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    await until(lambda: server.stored() == ["files/slow"])
    writer.close()


@pytest.mark.usefixtures("hurried")
async def test_a_client_that_does_not_take_its_file_is_cut_off(
    server: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    await server.http.put("/files/f", content=b"x" * 50 * MIB, timeout=60)
    _, writer = await raw(server)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /files/f HTTP/1.1\r\nHost: t\r\n\r\n")
    await until(lambda: open_files(server.directory) != [])
    await until(lambda: open_files(server.directory) == [])
    writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_that_hangs_up_during_a_download_leaves_nothing_open(server: FileServer) -> None:
    await server.http.put("/files/f", content=b"x" * 50 * MIB, timeout=60)
    reader, writer = await raw(server)
    writer.write(b"GET /files/f HTTP/1.1\r\nHost: t\r\n\r\n")
    await reader.readexactly(1000)
    assert open_files(server.directory) != []
    writer.transport.abort()
    await until(lambda: open_files(server.directory) == [])


async def test_a_server_that_stops_ends_an_upload_and_keeps_nothing_of_it(database_url: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"storage": str(tmp_path)}
    async with running_service(database_url, **settings) as running:
        address = urlsplit(running.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"PUT /files/f HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
        await until(lambda: any((tmp_path / "incoming").glob("*")))
    writer.close()
    await until(lambda: sorted(path.name for path in tmp_path.rglob("*")) == ["files", "incoming"])


async def test_a_storage_that_refuses_is_unavailable(database_url: str) -> None:
    settings: dict[str, Any] = {"storage": "/proc/there-are-no-directories-here"}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        refused = await http.put("/files/f", content=b"x")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "The storage of files refuses" in refused.json()["error"]["message"]


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Files of this process, the server's too, take no more than this for the length of the block."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_file_for_which_there_is_no_room_is_refused_and_leaves_what_was_there(server: FileServer) -> None:
    await server.http.put("/files/f", content=b"old")
    with no_file_beyond(2 * MIB):
        refused = await server.http.put("/files/f", content=bytes(5 * MIB))
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "unavailable")
        assert "The storage of files refuses: File too large" in refused.json()["error"]["message"]
        assert (await server.http.put("/files/g", content=bytes(MIB))).status_code == 201
    assert server.stored() == ["files/f", "files/g"]
    assert open_files(server.directory) == []
    assert (await server.http.get("/files/f")).content == b"old"
    assert (await server.http.put("/files/f", content=bytes(5 * MIB))).status_code == 201


async def test_files_go_to_s3_and_come_back(database_url: str, bucket: str) -> None:
    settings: dict[str, Any] = {"storage": f"s3://{bucket}/files"}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        whole = os.urandom(9 * MIB)
        assert (await http.put("/files/a/b", content=whole, timeout=60)).status_code == 201
        assert (await http.get("/files/a/b", timeout=60)).content == whole
        got = await http.get("/files/a/b", headers={"range": "bytes=-3"})
        assert got.content == whole[-3:]
