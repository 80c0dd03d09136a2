"""Every transcript, in both forms, against one server: replays share it as they would share a server in use."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from taskrpc.engine.cipher import new_key
from tests.conftest import Template
from tests.contract.replay import Send, replay, sender
from tests.contract.transcript import FORMS, Form, read
from tests.databases import copy_of
from tests.services import running_service

_FOLDER = Path(__file__).parent / "transcripts"
_FILES = sorted(_FOLDER.rglob("*.yaml"))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def send(database_template: Template) -> AsyncIterator[Send]:
    """Requests to one server for all transcripts."""
    async with (
        copy_of(database_template.server_url, database_template.name) as url,
        running_service(url, secret_key=new_key()) as server,
    ):
        yield sender(server.url)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", _FILES, ids=[path.relative_to(_FOLDER).as_posix() for path in _FILES])
async def test_a_transcript_is_answered_as_written(path: Path, form: Form, send: Send) -> None:
    await asyncio.to_thread(replay, read(path), form, send)
