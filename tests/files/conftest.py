"""Storages of every kind, and a server that keeps its files in one of them."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
import httpx2
import pytest
from moto.server import ThreadedMotoServer

from taskrpc.app import Running
from tests.services import running_service


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3 (moto, in this process), and credentials for it."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str) -> str:
    """A new bucket."""
    name = f"taskrpc-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["directory", "s3"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage of each kind."""
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('bucket')}/some/prefix"
    return (tmp_path / "storage").as_uri()


@dataclass(frozen=True)
class FileServer:
    """A server, a client of its files, and the directory that it keeps them in."""

    running: Running
    http: httpx2.AsyncClient
    directory: Path

    def stored(self) -> list[str]:
        """The paths of all files, and of what is being written."""
        return sorted(
            path.relative_to(self.directory).as_posix() for path in self.directory.rglob("*") if path.is_file()
        )

    def open_files(self) -> list[str]:
        """What this process, which is the server's too, has open of them."""
        links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return [link for link in links if link.startswith(str(self.directory))]

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection to the server."""
        address = urlsplit(self.running.url)
        return await asyncio.open_connection(address.hostname, address.port)


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[FileServer]:
    """A server that keeps files in a directory, of at most 200 MiB each."""
    directory = tmp_path / "storage"
    settings = {"storage": str(directory), "max_file": 200 * 2**20}
    async with running_service(database_url, **settings) as running, httpx2.AsyncClient(base_url=running.url) as http:
        yield FileServer(running, http, directory)
