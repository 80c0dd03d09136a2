"""`core.flow.WorkingDirectory`: one directory, in which the tasks of a flow are carried out one after the other.

The task is the directory: while it runs, its children come as tasks of a definition of their own, which nobody else
polls, whatever else is queued. The last one says that it is the end.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from taskrpc.client import AsyncClient, RetryPolicy
from taskrpc.core.definition import shown
from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.executor import Executor, Task
from taskrpc.executor.execution import is_stale

from .directory_cache import DirectoryCache
from .job import PLACE, Job, Leaf, NamespaceFiles, Properties, TextMap, Texts, read_place
from .namespace_files import put_namespace_files

QUEUE: Final = "working-directory:"
END: Final = "$end"
_LONG_NAMES: Final = "io.kestra.plugin."
# The end has been told; what remains is to tell that it was heard.
_LAST_ANSWER_SECONDS: Final = 30.0


class Cache(BaseModel):
    """Which files are kept for the next time, and how long."""

    model_config = ConfigDict(extra="forbid")

    patterns: Texts = Field(min_length=1)
    ttl: timedelta | None = None


class WorkingDirectory(Properties):
    """The properties; what its tasks are is the flow engine's matter."""

    inputFiles: TextMap = Field(default_factory=dict)
    outputFiles: Texts = Field(default_factory=list)
    namespaceFiles: NamespaceFiles | None = None
    cache: Cache | None = None
    tasks: Any = None
    errors: Any = None
    finally_: Any = Field(None, alias="finally")


async def working_directory(job: Job, leaves: Mapping[str, Leaf]) -> dict[str, Any]:
    """Makes the directory, carries out what comes until it is the end; answers `{outputFiles: {name: uri}}`."""
    properties = job.properties(WorkingDirectory)
    async with job.files() as files, _cached(job, properties.cache) as cache:
        for name, content in properties.inputFiles.items():
            await job.workspace.put(name, content, files)
        await put_namespace_files(job, properties.namespaceFiles)
        await _carry_out_children(job, leaves)
        names = await asyncio.to_thread(job.workspace.matching, properties.outputFiles)
        outputs = {"outputFiles": await job.workspace.upload(names, job.prefix, files)}
        if cache is not None:
            await cache.store()
        return outputs


@asynccontextmanager
async def _cached(job: Job, wanted: Cache | None) -> AsyncIterator[DirectoryCache | None]:
    if wanted is None:
        yield None
        return
    if job.place.cache is None:
        raise invalid_params(f"{PLACE}.cache", "is required with the property cache: the URI of the archive")
    async with job.files() as files:
        cache = DirectoryCache(job.workspace, files, job.place.cache, wanted.patterns)
        await cache.restore(wanted.ttl)
        yield cache


async def _carry_out_children(job: Job, leaves: Mapping[str, Leaf]) -> None:
    async with job.service.client(RetryPolicy.persistent()) as client:
        children = _Children(job, leaves, client)
        executor = Executor(job.service.url, api_key=job.service.api_key, grace=_LAST_ANSWER_SECONDS)
        executor.task(_queue(job))(children.carry_out)
        serving = asyncio.ensure_future(executor.serve())
        told = [
            asyncio.ensure_future(each) for each in (children.ended.wait(), children.lost.wait(), job.task.stopped())
        ]
        try:
            await asyncio.wait((serving, *told), return_when=asyncio.FIRST_COMPLETED)
            if not children.ended.is_set():
                if serving.done():
                    serving.result()
                raise TaskRpcError("stopped", "The directory was asked to end, or given up, before its tasks were done")
            executor.drain()
            await serving
        finally:
            for each in (serving, *told):
                each.cancel()
            await asyncio.wait((serving,))


class _Children:
    """The tasks that come for a directory: `ended` is set by the last one, `lost` when the directory is not ours."""

    def __init__(self, job: Job, leaves: Mapping[str, Leaf], client: AsyncClient) -> None:
        self.ended = asyncio.Event()
        self.lost = asyncio.Event()
        self._job = job
        self._leaves = leaves
        self._client = client

    async def carry_out(self, task: Task) -> dict[str, Any] | None:
        """One task; None for the end."""
        if not await self._is_ours():
            self.lost.set()
            await asyncio.Event().wait()  # to be cancelled, which hands the task back
        params = task.params if isinstance(task.params, Mapping) else {}
        if params.get(END):
            self.ended.set()
            return None
        return await _child(self._job, self._leaves, task, params)

    async def _is_ours(self) -> bool:
        """Whether the directory has not begun anew elsewhere while this executor was cut off.

        Its next heartbeat would tell that too late: what was handed out before this question was answered with yes is
        of the directory as it is here.
        """
        directory = self._job.task
        try:
            await self._client.notify(directory.id, directory.resource["execId"])
        except TaskRpcError as refusal:
            if is_stale(refusal):
                return False
            raise
        return True


def _queue(job: Job) -> str:
    """The definition of the children."""
    if job.place.taskRunId is None:
        raise invalid_params(f"{PLACE}.taskRunId", f"is required: the tasks come as {QUEUE}<taskRunId>")
    return QUEUE + job.place.taskRunId


async def _child(job: Job, leaves: Mapping[str, Leaf], task: Task, params: Mapping[str, Any]) -> dict[str, Any]:
    type = params.get("type")
    leaf = leaves.get(type.removeprefix(_LONG_NAMES)) if isinstance(type, str) else None
    if leaf is None:
        raise invalid_params("type", f"{', '.join(leaves)} can be carried out in a directory, not {shown(type)}")
    own = read_place(params)
    place = own.model_copy(
        update={"namespace": own.namespace or job.place.namespace, "files": own.files or job.place.files}
    )
    given = {key: value for key, value in params.items() if key != PLACE}
    return await leaf(replace(job, task=task, given=given, place=place))
