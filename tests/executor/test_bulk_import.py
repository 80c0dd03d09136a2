"""The importer against a real database: what it takes, what it refuses and where, and what it leaves behind."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from taskrpc_executors import BulkImport
from taskrpc_executors.resource_table import count_resources

from taskrpc import AsyncClient, Executor, Task, TaskRpcError
from taskrpc.executor.outbox import Notice, Progress
from tests.client.cutting_proxy import http_answer, read_message
from tests.executor.conftest import DEADLINE, done, serving

RESULT = "imported-resources"


def patients(number: int) -> list[dict[str, Any]]:
    return [{"resourceType": "Patient", "id": f"pat-{index}", "active": True} for index in range(number)]


def ndjson(resources: Iterable[object]) -> bytes:
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in resources)


def parameters(url: str | Path, encoding: str | None = None, resource_type: str = "Patient") -> dict[str, Any]:
    """The params of a task; a path becomes its `file:` URL."""
    address = url if isinstance(url, str) else url.as_uri()
    params: dict[str, Any] = {"type": "aidbox", "input": {"url": address, "resourceType": resource_type}}
    return params | ({"contentEncoding": encoding} if encoding else {})


class Importer:
    """Runs imports as an executor would, and keeps what they report."""

    def __init__(self, database_url: str, directory: Path) -> None:
        self.database_url = database_url
        self.directory = directory
        self.notices: list[Notice] = []

    async def __call__(self, params: Any) -> int:
        task = Task({"id": "t", "definition": BulkImport.DEFINITION, "params": params}, self.notices.append)
        return (await BulkImport(self.database_url, [self.directory])(task))[RESULT]

    async def of(self, content: bytes, encoding: str | None = None) -> int:
        """Import a file with this content."""
        path = self.directory / "input.ndjson"
        path.write_bytes(content)
        return await self(parameters(path, encoding))

    async def refusal(self, content: bytes, encoding: str | None = None) -> TaskRpcError:
        """The error for a file with this content, of which nothing was imported."""
        with pytest.raises(TaskRpcError) as raised:
            await self.of(content, encoding)
        assert await self.counts() == {}
        return raised.value

    async def counts(self) -> dict[str, int]:
        return await count_resources(self.database_url)


@pytest.fixture
def importer(database_url: str, tmp_path: Path) -> Importer:
    return Importer(database_url, tmp_path)


@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_a_gzip_file_is_imported(importer: Importer, encoding: str | None) -> None:
    assert await importer.of(gzip.compress(ndjson(patients(500))), encoding) == 500
    assert await importer.counts() == {"Patient": 500}


@pytest.mark.parametrize("encoding", [None, "plain"])
async def test_a_plain_file_is_imported(importer: Importer, encoding: str | None) -> None:
    assert await importer.of(ndjson(patients(500)), encoding) == 500


async def test_gzip_members_one_after_the_other_are_one_input(importer: Importer) -> None:
    first, second = ndjson(patients(5)[:3]), ndjson(patients(5)[3:])
    assert await importer.of(gzip.compress(first, mtime=0) + gzip.compress(second)) == 5


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
async def test_an_empty_input_imports_nothing(importer: Importer, content: bytes) -> None:
    assert await importer.of(content) == 0


async def test_resources_are_stored_as_they_stand(importer: Importer, database_url: str) -> None:
    resource = {"resourceType": "Patient", "id": "ä", "name": "\\u0000 is no NUL \U0001f600", "n": 1.50}
    line = json.dumps(resource, ensure_ascii=False).encode()
    assert await importer.of(b"\r\n" + line + b"\r\n\r\n") == 1
    connection = await asyncpg.connect(database_url)
    try:
        stored = await connection.fetchval("select resource from taskrpc_import.resource where id = 'ä'")
    finally:
        await connection.close()
    assert json.loads(stored) == resource


async def test_an_import_that_is_run_again_imports_nothing_twice(importer: Importer) -> None:
    content = ndjson(patients(20))
    assert [await importer.of(content), await importer.of(content)] == [20, 20]
    assert await importer.counts() == {"Patient": 20}


async def test_of_resources_with_one_id_the_last_counts(importer: Importer, database_url: str) -> None:
    versions = [{"resourceType": "Patient", "id": "p", "version": version} for version in range(3)]
    assert await importer.of(ndjson(versions)) == 1
    assert await importer.of(ndjson([*versions, {"resourceType": "Patient", "id": "p", "version": 9}])) == 1
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("select resource ->> 'version' from taskrpc_import.resource") == "9"
    finally:
        await connection.close()


async def test_imports_side_by_side_make_the_table_once_and_do_not_lock_each_other_up(
    importer: Importer, tmp_path: Path
) -> None:
    forth, back = tmp_path / "forth", tmp_path / "back"
    forth.write_bytes(ndjson(patients(2000)))
    back.write_bytes(ndjson({**patient, "active": False} for patient in reversed(patients(2000))))
    both = asyncio.gather(importer(parameters(forth)), importer(parameters(back)))
    assert list(await asyncio.wait_for(both, DEADLINE)) == [2000, 2000]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"resourceType": "Patient", ', "not JSON"),
        (b'"Patient"', "not a JSON object"),
        (b'{"resourceType": "Encounter", "id": "e"}', "resourceType is 'Encounter', expected 'Patient'"),
        (b'{"id": "e"}', "resourceType is missing"),
        (b'{"resourceType": "Patient"}', "id has to be text"),
        (b'{"resourceType": "Patient", "id": 5}', "not 5"),
        (b'{"resourceType": "Patient", "id": "' + b"x" * 256 + b'"}', "1 to 255 characters"),
        (b'{"resourceType": "Patient", "id": "p", "a": [{"b": "x\\u0000"}]}', "U+0000"),
        (b'{"resourceType": "Patient", "id": "p", "\\u0000": 1}', "U+0000"),
        (b'{"resourceType": "Patient", "id": "p", "a": "\\ud800"}', "not JSON"),
        (b'{"resourceType": "Patient", "id": "p", "a": "\xff"}', "not JSON"),
    ],
)
async def test_a_bad_line_fails_the_import_with_its_number(importer: Importer, line: bytes, reason: str) -> None:
    good = ndjson(patients(3000))
    error = await importer.refusal(good + b"\n" + line + b"\n" + good)
    assert error.type == "bad-input"
    assert "line 3002: " in error.message
    assert reason in error.message
    assert error.data == {"url": (importer.directory / "input.ndjson").as_uri(), "line": 3002}


async def test_a_line_that_only_postgres_refuses_is_named_too(importer: Importer) -> None:
    tiny = b'{"resourceType": "Patient", "id": "p", "n": 1e-20000}'
    error = await importer.refusal(ndjson(patients(7)) + tiny + b"\n")
    assert "line 8: PostgreSQL refuses it" in error.message


async def test_a_line_may_be_long_but_not_endless(importer: Importer) -> None:
    def patient(size: int) -> bytes:
        return ndjson([{"resourceType": "Patient", "id": "p", "text": "x" * size}])

    error = await importer.refusal(gzip.compress(ndjson(patients(1)) + patient(17 * 2**20)))
    assert "line 2: is longer than 16 MiB" in error.message
    assert await importer.of(gzip.compress(patient(15 * 2**20))) == 1


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (ndjson(patients(1)), "gzip", "is not gzip"),
        (gzip.compress(ndjson(patients(100)), mtime=0)[:-20], None, "ends in the middle"),
        (gzip.compress(ndjson(patients(100)), mtime=0)[:50] + b"\0" * 100, None, "is damaged gzip"),
        (gzip.compress(ndjson(patients(1)), mtime=0), "plain", "line 1: not JSON"),
    ],
)
async def test_damaged_content_is_refused(
    importer: Importer, content: bytes, encoding: str | None, reason: str
) -> None:
    assert reason in (await importer.refusal(content, encoding)).message


@pytest.mark.parametrize(
    ("params", "path"),
    [
        (None, "input.url"),
        ({"type": "aidbox", "input": {"resourceType": "Patient"}}, "input.url"),
        ({"type": "aidbox", "input": {"url": "http://example.org/p"}}, "input.resourceType"),
        (parameters("ftp://example.org/p"), "input.url"),
        (parameters("file://elsewhere/p"), "input.url"),
        ({**parameters("http://example.org/p"), "type": "csv"}, "type"),
        (parameters("http://example.org/p", "br"), "contentEncoding"),
    ],
)
async def test_params_that_say_nothing_importable_are_refused(importer: Importer, params: Any, path: str) -> None:
    with pytest.raises(TaskRpcError, match=f"invalid-params: {path}") as raised:
        await importer(params)
    assert raised.value.data == {"path": path}


async def test_files_are_read_below_allowed_directories_only(
    importer: Importer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.ndjson"
    outside.write_bytes(ndjson(patients(1)))
    link = importer.directory / "link.ndjson"
    link.symlink_to(outside)
    for path in (outside, link, importer.directory / ".." / outside.parent.name / outside.name):
        with pytest.raises(TaskRpcError, match="--allow-files"):
            await importer(parameters(f"file://{path}"))


async def test_what_is_no_file_is_refused(importer: Importer) -> None:
    for path, reason in ((importer.directory, "not a regular file"), (importer.directory / "none", "No such file")):
        with pytest.raises(TaskRpcError, match=reason):
            await importer(parameters(path))


async def test_progress_counts_rows_and_knows_the_total_of_a_file(importer: Importer) -> None:
    await importer.of(gzip.compress(ndjson(patients(5000)).rstrip()))
    reports = [notice for notice in importer.notices if isinstance(notice, Progress)]
    assert len(reports) > 2
    assert all(earlier.current < later.current for earlier, later in pairwise(reports))
    assert reports[-1] == Progress(5000, 5000, "rows")


async def test_an_import_that_is_asked_to_stop_leaves_nothing(importer: Importer) -> None:
    path = importer.directory / "input.ndjson"
    path.write_bytes(ndjson(patients(10)))
    task = Task({"id": "t", "definition": BulkImport.DEFINITION, "params": parameters(path)}, lambda notice: None)
    task.request_stop()
    with pytest.raises(TaskRpcError, match="stopped"):
        await BulkImport(importer.database_url, [importer.directory])(task)
    assert await importer.counts() == {}


@asynccontextmanager
async def serving_http(answer: bytes) -> AsyncIterator[str]:
    """The URL of a server that gives this answer once per connection, then hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/Patient.ndjson.gz"
    finally:
        server.close()


PACKED = gzip.compress(ndjson(patients(1000)), mtime=0)


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(200, PACKED),
        http_answer(200, PACKED, "content-encoding: gzip"),
        http_answer(200, gzip.compress(PACKED, mtime=0), "content-encoding: gzip"),
        http_answer(200, ndjson(patients(1000))),
    ],
    ids=["gzip", "encoded", "gzip encoded", "plain"],
)
async def test_an_input_is_fetched_over_http(importer: Importer, answer: bytes) -> None:
    async with serving_http(answer) as url:
        assert await importer(parameters(url)) == 1000
    totals = {notice.total for notice in importer.notices if isinstance(notice, Progress)}
    assert totals == {None}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(http_answer(404, b"no"), "answered 404"), (http_answer(200, PACKED)[:-9], "without sending complete")],
)
async def test_an_input_that_cannot_be_fetched_is_refused(importer: Importer, answer: bytes, reason: str) -> None:
    async with serving_http(answer) as url:
        with pytest.raises(TaskRpcError, match=reason) as raised:
            await importer(parameters(url))
    assert raised.value.type == "input-unreadable"
    assert await importer.counts() == {}


async def test_a_task_of_the_service_is_imported(
    url: str, client: AsyncClient, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "Patient.ndjson.gz").write_bytes(PACKED)
    executor = Executor(url)
    BulkImport(database_url, [tmp_path]).register(executor, concurrency=2)
    good, bad = parameters(tmp_path / "Patient.ndjson.gz"), parameters(tmp_path / "none")
    await client.definition_put(BulkImport.DEFINITION, {"allowedRetryCount": 1})
    ids = [(await client.create_and_execute(BulkImport.DEFINITION, params))["resource"]["id"] for params in (good, bad)]
    async with serving(executor):
        imported, refused = [await done(client, id) for id in ids]
    assert imported["result"] == {RESULT: 1000}
    assert imported["progress"] == {"current": 1000, "total": 1000, "unit": "rows"}
    assert refused["error"]["type"] == "input-unreadable"


MEASURE = """
import asyncio, resource, sys
from pathlib import Path
from taskrpc import Task
from taskrpc_executors import BulkImport

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def run(path):
    params = {"input": {"url": path.as_uri(), "resourceType": "Patient"}}
    task = Task({"id": "t", "definition": "d", "params": params}, lambda notice: None)
    return await BulkImport(sys.argv[1], [path.parent])(task)

asyncio.run(run(Path(sys.argv[2])))
before = peak()
print(asyncio.run(run(Path(sys.argv[3])))["imported-resources"], peak() - before)
"""


async def test_memory_does_not_grow_with_the_input(database_url: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small.ndjson.gz", tmp_path / "large.ndjson.gz"
    text = "x" * 4000
    small.write_bytes(gzip.compress(ndjson({**patient, "text": text} for patient in patients(500))))
    with gzip.open(large, "wb", compresslevel=1) as file:
        for patient in patients(16_000):
            file.write(ndjson([{**patient, "text": text}]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEASURE, database_url, small, large, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    imported, growth_kib = map(int, output.split())
    assert imported == 16_000
    # 64 MB of lines went through.
    assert growth_kib < 8 * 1024
