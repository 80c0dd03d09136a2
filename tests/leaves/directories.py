"""Working directories as tests see them: sent, given tasks one by one, ended."""

import itertools
from dataclasses import dataclass
from typing import Any

from tests.executor.conftest import create, done
from tests.leaves.conftest import Bench

TYPE = "core.flow.WorkingDirectory"
_numbers = itertools.count()


@dataclass
class Directory:
    """A directory that was sent, and its tasks."""

    bench: Bench
    id: str
    run: str

    @classmethod
    async def begin(cls, bench: Bench, place: dict[str, Any] | None = None, **properties: Any) -> "Directory":
        """Sends a directory; `place` is what the flow engine says of it besides."""
        execution = {"taskRunId": f"run-{next(_numbers)}", "namespace": "company.team"} | (place or {})
        id = await create(bench.client, {**properties, "$execution": execution}, TYPE)
        directory = cls(bench, id, execution["taskRunId"])
        await bench.client.definition_put(directory.queue, {"allowedRetryCount": 1})
        return directory

    @property
    def queue(self) -> str:
        """The definition of its tasks."""
        return f"working-directory:{self.run}"

    async def child(self, type: str, **properties: Any) -> Any:
        """A task in the directory, when it is done."""
        return await done(self.bench.client, await create(self.bench.client, {"type": type, **properties}, self.queue))

    async def outputs(self, type: str, **properties: Any) -> Any:
        """What a task in the directory ends with; fails the test unless it succeeds."""
        ended = await self.child(type, **properties)
        assert ended["outcome"] == "succeeded", ended.get("error")
        return ended["result"]

    async def end(self) -> Any:
        """The directory task after its end was told."""
        told = await create(self.bench.client, {"$end": True}, self.queue)
        ended = await done(self.bench.client, self.id)
        assert (await done(self.bench.client, told))["outcome"] == "succeeded"
        return ended
