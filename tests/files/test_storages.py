"""What holds for every storage: a directory, S3 (moto)."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import pytest
import s3fs  # type: ignore[import-untyped]

from taskrpc.errors import TaskRpcError
from taskrpc.storage.choice import open_storage
from taskrpc.storage.objects import ObjectStorage
from taskrpc.storage.storage import PIECE, Storage

MIB = 2**20


@pytest.fixture
def storage(storage_url: str, tmp_path: Path) -> Storage:
    return open_storage(storage_url, tmp_path)


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def content(storage: Storage, path: str, start: int = 0, length: int | None = None) -> bytes:
    file = await storage.open(path)
    try:
        count = file.size - start if length is None else length
        return b"".join([piece async for piece in file.pieces(start, count)])
    finally:
        await file.close()


@pytest.mark.parametrize("size", [0, 1, PIECE, 9 * MIB])
async def test_a_file_comes_back_as_it_was_written(storage: Storage, size: int) -> None:
    whole = os.urandom(size)
    third = size // 3 + 1
    assert await storage.write("a/b/größe %.txt", pieces(whole[:third], b"", whole[third:])) == size
    assert await content(storage, "a/b/größe %.txt") == whole


async def test_a_part_of_a_file_is_read(storage: Storage) -> None:
    whole = os.urandom(9 * MIB)
    await storage.write("f", pieces(whole))
    assert await content(storage, "f", 8 * MIB - 5, 10) == whole[8 * MIB - 5 : 8 * MIB + 5]


async def test_a_file_tells_when_it_was_written(storage: Storage) -> None:
    await storage.write("f", pieces(b"x"))
    file = await storage.open("f")
    await file.close()
    assert abs(file.modified - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_file_that_is_not_there_is_not_found(storage: Storage) -> None:
    await storage.write("a/b", pieces(b"x"))
    for path in ("c", "a/c", "a"):
        with pytest.raises(FileNotFoundError):
            await storage.open(path)


@pytest.mark.parametrize("size", [10, 17 * MIB])
async def test_what_breaks_while_it_is_written_leaves_what_was_there(storage: Storage, size: int) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(0, size, MIB):
            yield b"x" * min(size, MIB)
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await storage.write("new", breaking())
    with pytest.raises(FileNotFoundError):
        await storage.open("new")
    await storage.write("old", pieces(b"old"))
    with pytest.raises(ConnectionResetError):
        await storage.write("old", breaking())
    assert await content(storage, "old") == b"old"


async def test_a_write_that_is_cancelled_leaves_nothing(storage: Storage) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.ensure_future(storage.write("f", endless()))
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    with pytest.raises(FileNotFoundError):
        await storage.open("f")


async def test_of_two_that_write_one_file_one_counts_as_a_whole(storage: Storage) -> None:
    contents = [bytes([number]) * 3 * MIB for number in range(4)]
    await asyncio.gather(*(storage.write("f", pieces(each[:MIB], each[MIB:])) for each in contents))
    assert await content(storage, "f") in contents


async def test_a_reader_does_not_get_a_mixture(storage: Storage) -> None:
    await storage.write("f", pieces(b"1" * 9 * MIB))
    file = await storage.open("f")
    reading = file.pieces(0, file.size)
    got = [await anext(reading)]
    await storage.write("f", pieces(b"2" * 9 * MIB))
    with contextlib.suppress(OSError):
        got += [piece async for piece in reading]
    await file.close()
    assert set(b"".join(got)) == set(b"1")


async def test_all_below_a_prefix_is_removed(storage: Storage) -> None:
    for path in ("e/1/a", "e/1/b/c", "e/12/a", "e/2"):
        await storage.write(path, pieces(b"x"))
    await storage.delete("e/1/")
    await storage.delete("e/1/")
    await storage.delete("nothing/")
    for path in ("e/1/a", "e/1/b/c"):
        with pytest.raises(FileNotFoundError):
            await storage.open(path)
    assert [await content(storage, path) for path in ("e/12/a", "e/2")] == [b"x", b"x"]


async def test_an_upload_to_s3_that_broke_leaves_no_parts_behind(bucket: str) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * MIB
        raise ConnectionResetError

    storage = ObjectStorage(f"s3://{bucket}/p")
    with pytest.raises(ConnectionResetError):
        await storage.write("f", breaking())
    client = boto3.client("s3")
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


async def test_a_storage_that_refuses_is_told_as_such(s3: str) -> None:
    storage = ObjectStorage("s3://there-is-no-such-bucket/p")
    with pytest.raises(OSError, match="bucket"):
        await storage.write("f", pieces(b"x"))


async def test_a_storage_that_is_silent_is_given_up(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", 0.1)
    storage = ObjectStorage("s3://bucket/p")
    async with asyncio.timeout(20):
        for attempt in (storage.open("f"), storage.write("f", pieces(b"x"))):
            with pytest.raises(OSError, match=r"(?i)timeout"):
                await attempt
    for connection in connections:
        connection.close()
    silent.close()


async def test_directories_are_synced_before_a_file_counts_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path).as_posix())
        sync(descriptor)

    storage = open_storage(str(tmp_path), tmp_path)
    await storage.write("a/f", pieces(b"x"))
    monkeypatch.setattr(os, "fsync", noting)
    await storage.write("a/b/c/f", pieces(b"x"))
    assert synced[0].startswith("incoming/")
    assert synced[1:] == ["files/a", "files/a/b", "files/a/b/c"]


async def test_what_a_server_that_died_had_begun_is_cleaned_up_after_a_day(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path), tmp_path)
    await storage.write("f", pieces(b"x"))
    for name, hours in (("old", 25), ("new", 1)):
        left = tmp_path / "incoming" / name
        left.write_bytes(b"half")
        os.utime(left, (time.time() - hours * 3600,) * 2)
    await storage.write("g", pieces(b"x"))
    assert [file.name for file in (tmp_path / "incoming").iterdir()] == ["new"]


async def test_a_file_that_was_cut_short_under_a_reader_is_an_error(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path), tmp_path)
    await storage.write("f", pieces(b"x" * 100))
    file = await storage.open("f")
    os.truncate(tmp_path / "files" / "f", 50)
    with pytest.raises(OSError, match="50 bytes are missing"):
        _ = [piece async for piece in file.pieces(0, 100)]
    await file.close()


@pytest.mark.parametrize("url", ["gopher://x", "memory://x", "s3:///prefix", "ftp:x"])
def test_a_storage_that_cannot_be_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(TaskRpcError, match=f"not-configured: --storage {url}: a directory or s3"):
        open_storage(url, tmp_path)


def test_without_its_package_s3_is_refused_with_what_to_install(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["s3fs"] = None
from pathlib import Path
from taskrpc.storage.choice import open_storage
open_storage("s3://bucket/prefix", Path({str(tmp_path)!r}))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "not-configured: --storage s3://bucket/prefix" in ended.stderr
    assert "pip install 'taskrpc[s3]'" in ended.stderr


async def test_without_a_url_files_are_in_the_data_directory(tmp_path: Path) -> None:
    await open_storage(None, tmp_path).write("a/f", pieces(b"x"))
    assert (tmp_path / "storage/files/a/f").read_bytes() == b"x"
