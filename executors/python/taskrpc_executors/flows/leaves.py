"""Which types of tasks are carried out, and how they are registered with an executor."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final

from taskrpc.errors import TaskRpcError, invalid_params
from taskrpc.executor import Executor, Task

from .http_request import http_request
from .job import PLACE, Job, Leaf, Properties, Service, read_place, read_properties
from .local_files import local_files
from .scratch import Scratch
from .scripts import node_script, shell_commands, shell_script
from .working_directory import working_directory
from .workspace import Workspace

# These look after their time and their stop themselves: they keep what was made.
_PROCESSES: Final[Mapping[str, Leaf]] = {
    "scripts.shell.Commands": shell_commands,
    "scripts.shell.Script": shell_script,
    "scripts.node.Script": node_script,
}


class FlowLeaves:
    """The leaf tasks of flows for one service. With `public_only` HTTP requests go to public addresses only."""

    def __init__(self, url: str, *, api_key: str | None = None, public_only: bool = False) -> None:
        self.service = Service(url, api_key)
        self._scratch = Scratch()
        inside: Mapping[str, Leaf] = {
            **_PROCESSES,
            "core.http.Request": partial(_watched, partial(http_request, public_only=public_only)),
            "core.storage.LocalFiles": partial(_watched, local_files),
        }
        self.leaves: Mapping[str, Leaf] = {
            **inside,
            "core.flow.WorkingDirectory": partial(working_directory, leaves=inside),
        }

    @property
    def types(self) -> list[str]:
        """The names of the definitions of all that is carried out."""
        return list(self.leaves)

    def register(self, executor: Executor, concurrency: int) -> None:
        """Let `executor` carry out all of them, of each type so many at a time."""
        for type in self.leaves:
            executor.task(type, concurrency=concurrency)(partial(self.carry_out, type))

    async def carry_out(self, type: str, task: Task) -> dict[str, Any]:
        """A task of a type, in a directory of its own; answers its outputs."""
        async with self._workspace() as workspace:
            return await self.leaves[type](self.job(task, task.params, workspace))

    @contextlib.asynccontextmanager
    async def _workspace(self) -> AsyncIterator[Workspace]:
        """A new directory that is gone after the block, with all that is in it."""
        directory = await asyncio.to_thread(self._scratch.directory)
        try:
            yield Workspace(directory)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def job(self, task: Task, params: Any, workspace: Workspace) -> Job:
        """A task as a job in a directory; raises `invalid-params`."""
        if not isinstance(params, Mapping):
            raise invalid_params("params", "the properties of the task are expected")
        given = {key: value for key, value in params.items() if key != PLACE}
        return Job(task, given, read_place(params), workspace, self.service)


async def _watched(leaf: Leaf, job: Job) -> dict[str, Any]:
    """A leaf that ends when its time is over, or when its task is asked to stop."""
    timeout = read_properties(Properties, {"timeout": job.given.get("timeout")}).timeout
    working, stopped = asyncio.ensure_future(leaf(job)), asyncio.ensure_future(job.task.stopped())
    try:
        seconds = None if timeout is None else timeout.total_seconds()
        await asyncio.wait((working, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if stopped.done():
            raise TaskRpcError("stopped", "The task was asked to stop")
        raise TaskRpcError("timeout", f"The task took longer than {seconds:g} s")
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.wait((working,))
