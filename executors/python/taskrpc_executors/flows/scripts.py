"""`scripts.shell.Commands`, `scripts.shell.Script`, `scripts.node.Script`: commands as processes of this machine."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from taskrpc.core.definition import shown
from taskrpc.errors import TaskRpcError

from .job import Job, NamespaceFiles, Properties, Text, TextMap, Texts
from .namespace_files import put_namespace_files
from .output_lines import Said
from .process import Command, run
from .reports import Reports

# What a task gets of this executor's own environment: never its keys.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL")
_LOCAL: Final = frozenset({"io.kestra.plugin.core.runner.Process", "core.runner.Process"})


def _local(runner: object) -> object:
    if not isinstance(runner, dict) or set(runner) != {"type"} or runner["type"] not in _LOCAL:
        raise ValueError(f"tasks run as local processes, type core.runner.Process, not {shown(runner)}")
    return runner


class Scripts(Properties):
    """What all of them have in common."""

    beforeCommands: Texts = Field(default_factory=list)
    env: TextMap = Field(default_factory=dict)
    interpreter: Annotated[Texts, Field(min_length=1)] = Field(default_factory=lambda: ["/bin/sh", "-c"])
    failFast: bool = True
    inputFiles: TextMap = Field(default_factory=dict)
    outputFiles: Texts = Field(default_factory=list)
    namespaceFiles: NamespaceFiles | None = None
    taskRunner: Annotated[dict[str, Any], BeforeValidator(_local)] | None = None


class Commands(Scripts):
    """`scripts.shell.Commands`."""

    commands: Annotated[Texts, Field(min_length=1)]


class Script(Scripts):
    """`scripts.shell.Script` and `scripts.node.Script`."""

    script: Text


async def shell_commands(job: Job) -> dict[str, Any]:
    """Runs a list of commands in one shell."""
    properties = job.properties(Commands)
    return await _run(job, properties, properties.commands)


async def shell_script(job: Job) -> dict[str, Any]:
    """Runs a script in a shell."""
    properties = job.properties(Script)
    return await _run(job, properties, [properties.script])


async def node_script(job: Job) -> dict[str, Any]:
    """Runs a script by node, in whose directory packages are looked for."""
    properties = job.properties(Script)
    async with job.files() as files:
        script = await job.workspace.localized(properties.script, files)
    path = job.workspace.own("script.js")
    path.write_text(script, encoding="utf-8")
    return await _run(job, properties, [f"node '{path}'"])


async def _run(job: Job, properties: Scripts, commands: list[str]) -> dict[str, Any]:
    """The outputs. Raises TaskRpcError, whose data have them too: what was made is kept if the commands fail."""
    said, reports = Said(), Reports(job.task)
    async with job.files() as files:
        await put_namespace_files(job, properties.namespaceFiles)
        for name, content in properties.inputFiles.items():
            await job.workspace.put(name, content, files)
        lines = ["set -e"] if properties.failFast else []
        text = await job.workspace.localized("\n".join([*lines, *properties.beforeCommands, *commands]), files)
        env = {name: await job.workspace.localized(value, files) for name, value in properties.env.items()}
        command = Command([*properties.interpreter, text], job.workspace.directory, _environment(job, env))
        code, failure = await _outcome(job, properties, command, said, reports)
        outputs: dict[str, Any] = {} if code is None else {"exitCode": code}
        outputs |= {"vars": said.vars, "outputFiles": {}}
        outputs |= {"stdOutLineCount": said.counts["stdout"], "stdErrLineCount": said.counts["stderr"]}
        try:
            names = await asyncio.to_thread(job.workspace.matching, properties.outputFiles)
            outputs["outputFiles"] = await job.workspace.upload(names, job.prefix, files)
        except TaskRpcError as refusal:
            failure = failure or refusal  # how the commands failed says more
    if failure is not None:
        raise TaskRpcError(failure.type, failure.message, {"outputs": outputs})
    return outputs


async def _outcome(
    job: Job, properties: Scripts, command: Command, said: Said, reports: Reports
) -> tuple[int | None, TaskRpcError | None]:
    """The exit code, if it came to that, and how the command failed."""

    def take(stream: str, line: str) -> None:
        told = said.line(stream, line)
        if told is None:
            reports.line(stream, line)
        elif told:
            reports.metrics(told)

    seconds = properties.timeout.total_seconds() if properties.timeout is not None else None
    async with _stop_of(job) as stopped:
        try:
            code = await run(command, take, stopped, seconds)
        except TaskRpcError as failure:
            return None, failure
        finally:
            reports.flush()
    if code == 0:
        return code, None
    words = said.last_words
    message = f"The commands ended with exit code {code}" + (f": {words}" if words else "")
    return code, TaskRpcError("exit-code", message)


@contextlib.asynccontextmanager
async def _stop_of(job: Job) -> AsyncIterator[asyncio.Task[None]]:
    stopped = asyncio.create_task(job.task.stopped())
    try:
        yield stopped
    finally:
        stopped.cancel()


def _environment(job: Job, given: dict[str, str]) -> dict[str, str]:
    own = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**own, "WORKING_DIR": str(job.workspace.directory), **given}
