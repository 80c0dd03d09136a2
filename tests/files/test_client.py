"""Programs upload and download files, through connections that break."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskrpc.client import AsyncFiles, RetryPolicy
from taskrpc.core.grant import Grant
from taskrpc.errors import TaskRpcError
from tests.client.cutting_proxy import Fault, cutting_proxy, http_answer
from tests.files.conftest import FileServer

URI = "kestra:///e/1/gr%C3%B6%C3%9Fe.bin"
SHORT = RetryPolicy(budget=5.0, first_delay=0.01)


@pytest.mark.parametrize("size", [0, 3 * 2**20])
async def test_a_file_goes_up_and_comes_down(server: FileServer, tmp_path: Path, size: int) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(size))
    back.write_bytes(b"something longer that was there before" * (size == 0))
    async with AsyncFiles(server.running.url) as files:
        await files.upload(there, URI)
        await files.download(URI, back)
    assert back.read_bytes() == there.read_bytes()
    assert server.stored() == ["files/e/1/größe.bin"]


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNANSWERED, Fault.HALF_ANSWERED])
async def test_what_breaks_is_done_again(server: FileServer, tmp_path: Path, fault: Fault) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(100_000))
    async with cutting_proxy(server.running.url) as proxy, AsyncFiles(proxy.url, retry=SHORT) as files:
        proxy.faults = [fault]
        await files.upload(file, URI)
        proxy.faults = [fault]
        await files.download(URI, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


async def test_it_gives_up_when_its_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with AsyncFiles("http://127.0.0.1:9", retry=RetryPolicy(budget=0.05, first_delay=0.01)) as files:
        with pytest.raises(TaskRpcError, match=r"unavailable: http://127\.0\.0\.1:9/files/ cannot be reached"):
            await files.upload(tmp_path / "f", URI)


async def test_refusals_are_raised_at_once(server: FileServer, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x")
    grant = Grant(["e/1/"], ["e/1/out/"], datetime.now(UTC) + timedelta(hours=1))
    token = await server.running.services.files.tokens.make(grant)
    async with AsyncFiles(server.running.url, token=token) as files:
        with pytest.raises(TaskRpcError, match="forbidden"):
            await files.upload(file, URI)
        with pytest.raises(TaskRpcError, match="file-not-found"):
            await files.download(URI, file)
        with pytest.raises(TaskRpcError, match="invalid-params: uri"):
            await files.download("file:///etc/passwd", file)
        with pytest.raises(TaskRpcError, match="forbidden"):
            await files.age("kestra:///e/2/x")
    assert file.read_bytes() == b"x"


async def test_a_file_has_an_age_by_the_clock_of_the_service(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with AsyncFiles(server.running.url) as files:
        assert await files.age(URI) is None
        await files.upload(tmp_path / "f", URI)
        age = await files.age(URI)
    assert age is not None
    assert timedelta(seconds=-1) <= age < timedelta(seconds=10)


async def test_an_answer_of_somebody_else_is_told(tmp_path: Path) -> None:
    async with cutting_proxy(None) as proxy, AsyncFiles(proxy.url) as files:
        proxy.answers = [http_answer(404, b"<html>")]
        with pytest.raises(TaskRpcError, match="answered 404 and no error of the service: '<html>'"):
            await files.download(URI, tmp_path / "f")
