"""Files of namespaces, put into the directory of a task."""

import asyncio
import base64
from typing import Any

from taskrpc.client import AsyncClient
from taskrpc.errors import TaskRpcError

from .job import Job, NamespaceFiles
from .workspace import matches


async def put_namespace_files(job: Job, wanted: NamespaceFiles | None) -> None:
    """Puts those files there that are included and not excluded; by default all of the flow's namespace.

    Of a path that several namespaces have the last one named counts, unless each gets a folder.
    """
    if wanted is None or not wanted.enabled:
        return
    own = [] if job.place.namespace is None else [job.place.namespace]
    namespaces = wanted.namespaces or own
    if not namespaces:
        raise TaskRpcError("invalid-params", "namespaceFiles.namespaces: is required outside of flows")
    async with job.service.client() as client:
        for namespace in namespaces:
            for path in await _paths(client, namespace):
                if _is_wanted(path, wanted):
                    name = f"{namespace}/{path}" if wanted.folderPerNamespace else path
                    file = (await client.namespace_file_get(namespace, path))["resource"]
                    await asyncio.to_thread(job.workspace.inside(name).write_bytes, _content(file))


async def _paths(client: AsyncClient, namespace: str) -> list[str]:
    paths: list[str] = []
    page = 1
    while True:
        answer = await client.namespace_file_list(namespace, count=1000, page=page)
        paths += [each["path"] for each in answer["resources"]]
        if len(answer["resources"]) < 1000:
            return paths
        page += 1


def _is_wanted(path: str, wanted: NamespaceFiles) -> bool:
    included = not wanted.include or matches(path, wanted.include)
    return included and not (wanted.exclude and matches(path, wanted.exclude))


def _content(file: dict[str, Any]) -> bytes:
    if "content" in file:
        content: str = file["content"]
        return content.encode()
    return base64.b64decode(file["contentBase64"])
