"""`core.storage.LocalFiles`: files into the directory, and out of it."""

import asyncio
from typing import Any

from pydantic import Field

from .job import Job, Properties, TextMap, Texts


class LocalFiles(Properties):
    """Contents or URIs by name, and globs of what is stored."""

    inputs: TextMap = Field(default_factory=dict)
    outputs: Texts = Field(default_factory=list)


async def local_files(job: Job) -> dict[str, Any]:
    """Puts `inputs` there, stores what fits `outputs`; answers `{uris: {name: uri}}`."""
    properties = job.properties(LocalFiles)
    async with job.files() as files:
        for name, content in properties.inputs.items():
            await job.workspace.put(name, content, files, "inputs")
        names = await asyncio.to_thread(job.workspace.matching, properties.outputs)
        return {"uris": await job.workspace.upload(names, job.prefix, files)}
