"""`aidbox.bulk/import-resource-task`: resources of one type from newline-delimited JSON into PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from taskrpc.errors import TaskRpcError
from taskrpc.executor import Executor, Task

from .bad_input import bad_params
from .content import count_lines, decoded, line_batches
from .resource_table import Import, importing
from .resources import read_resource
from .sources import Source, is_local, open_source

# A file is read through beforehand, for the total of the progress, up to this size.
_COUNTED_UP_TO: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """What to import: `encoding` is `gzip`, `plain`, or None to find out."""

    url: str
    resource_type: str
    encoding: str | None

    @classmethod
    def from_params(cls, params: Any) -> "Input":
        """Read `{type, input: {url, resourceType}, contentEncoding?}`.

        Raises `TaskRpcError("invalid-params")`.
        """
        top = params if isinstance(params, Mapping) else {}
        if top.get("type", "aidbox") not in {"aidbox", "fhir"}:
            raise bad_params("type", f"has to be aidbox or fhir, not {top['type']!r}")
        encoding = top.get("contentEncoding")
        if encoding not in {None, "gzip", "plain"}:
            raise bad_params("contentEncoding", f"has to be gzip or plain, not {encoding!r}")
        source = top["input"] if isinstance(top.get("input"), Mapping) else {}
        for name in ("url", "resourceType"):
            if not isinstance(source.get(name), str) or not source[name]:
                raise bad_params(f"input.{name}", "is required, as text")
        return cls(source["url"], source["resourceType"], encoding)


class BulkImport:
    """The task's function, for one database; files may be imported from below `allowed_directories`."""

    DEFINITION: Final = "aidbox.bulk/import-resource-task"

    def __init__(self, database_url: str, allowed_directories: Sequence[Path] = ()) -> None:
        self._database_url = database_url
        self._allowed_directories = allowed_directories

    def register(self, executor: Executor, concurrency: int) -> None:
        """Let `executor` carry out the imports, so many at a time."""
        executor.task(self.DEFINITION, concurrency=concurrency)(self)

    async def __call__(self, task: Task) -> dict[str, int]:
        """Import everything or nothing; the result is `{imported-resources: n}`.

        `n` counts the different resources of the input, all of which are in the table afterwards, as they
        stand in the input (of those with one id the last). It is the same when the task is carried out again.
        """
        input = Input.from_params(task.params)
        total = await self._total(input)
        async with self._open(input) as chunks, importing(self._database_url, input.url) as rows:
            await _stage(task, input, chunks, rows, total)
            return {"imported-resources": await rows.merge(input.resource_type)}

    async def _total(self, input: Input) -> int | None:
        if not is_local(input.url):
            return None
        async with self._open(input) as chunks:
            return await count_lines(decoded(input.url, chunks, input.encoding), _COUNTED_UP_TO)

    def _open(self, input: Input) -> Source:
        return open_source(input.url, self._allowed_directories)


async def _stage(task: Task, input: Input, chunks: AsyncIterator[bytes], rows: Import, total: int | None) -> None:
    done = 0
    task.progress(done, total, "rows")
    async for batch in line_batches(input.url, decoded(input.url, chunks, input.encoding)):
        if task.stop_requested:
            raise TaskRpcError("stopped", "the import was asked to stop; nothing was imported")
        await rows.stage([read_resource(input.url, number, line, input.resource_type) for number, line in batch])
        done += len(batch)
        task.progress(done, total, "rows")
