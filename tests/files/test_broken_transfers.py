"""Uploads and downloads that break off, fall silent or find no room: nothing is left of them, and nothing open."""

import asyncio
import contextlib
import logging
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.files.conftest import FileServer
from tests.services import running_service, until

MIB = 2**20


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
    _, writer = await server.connected()
    writer.write(head)
    await until(lambda: len(server.stored()) == 2)  # it is being written, elsewhere
    assert (await server.http.get("/files/f")).content == b"old"
    writer.close()
    await until(lambda: server.stored() == ["files/f"])
    assert (await server.http.get("/files/f")).content == b"old"


@pytest.fixture
def hurried() -> Iterator[None]:
    """Deadlines of less than a second instead of ten and sixty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taskrpc.web.sweeping.SWEEP_SECONDS", 0.02)
        for name, seconds in (("BYTE_SECONDS", 0.5), ("REQUEST_SECONDS", 0.3)):
            patch.setattr(f"taskrpc.web.limits.{name}", seconds)
        yield


@pytest.mark.usefixtures("hurried")
async def test_an_upload_may_take_longer_than_a_request_but_not_fall_silent(server: FileServer) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await server.connected()
    writer.write(b"PUT /files/slow HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
    began = loop.time()
    while loop.time() - began < 0.9:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"0\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()
    reader, writer = await server.connected()
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
    _, writer = await server.connected()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /files/f HTTP/1.1\r\nHost: t\r\n\r\n")
    await until(lambda: server.open_files() != [])
    await until(lambda: server.open_files() == [])
    writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_that_hangs_up_during_a_download_leaves_nothing_open(server: FileServer) -> None:
    await server.http.put("/files/f", content=b"x" * 50 * MIB, timeout=60)
    reader, writer = await server.connected()
    writer.write(b"GET /files/f HTTP/1.1\r\nHost: t\r\n\r\n")
    await reader.readexactly(1000)
    assert server.open_files() != []
    writer.transport.abort()
    await until(lambda: server.open_files() == [])


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
    assert server.open_files() == []
    assert (await server.http.get("/files/f")).content == b"old"
    assert (await server.http.put("/files/f", content=bytes(5 * MIB))).status_code == 201
