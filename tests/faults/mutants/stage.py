"""Where the short traces are played: servers from a copy of the package, on a database of their own, and recorded
clients."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.faults.collector import collect
from tests.faults.flows import FLOW, STEP
from tests.faults.history import History, read_history
from tests.faults.recorder import RecordedClient, Recorder
from tests.faults.story import PLAIN
from tests.system.processes import ServerProcess, code_of

_AHEAD: Final = "import time\n_right = time.time\ntime.time = lambda: _right() + 90\n"
_TIMES: Final = {"requestedToStartTimeout": 2000, "inProgressTimeout": 300, "retryDelay": 50, "allowedRetryCount": 5}
DEFINITIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    PLAIN: _TIMES,
    STEP: {**_TIMES, "inProgressTimeout": 10_000},
    FLOW: {**_TIMES, "inProgressTimeout": 10_000, "kind": "workflow"},
}


class Stage:
    """One trace: `package` is the directory of the copy, `place` where everything is written."""

    def __init__(self, package: Path, place: Path, database_url: str) -> None:
        self.recorder = Recorder(place / "trace.jsonl")
        self._package = package
        self._place = place
        self._database_url = database_url
        self._servers: list[ServerProcess] = []
        self._clients: list[RecordedClient] = []

    @property
    def environment(self) -> dict[str, str]:
        """That of a process which runs the copy."""
        return {**code_of(self._package), "TASKRPC_NOTIFY": "0"}

    def set_clocks_ahead(self) -> None:
        """All processes of the copy that start from now on are 90 s ahead."""
        (self._package / "sitecustomize.py").write_text(_AHEAD)

    async def server(self) -> ServerProcess:
        """Starts a server; the first one makes the tables and gets the definitions."""
        log = self._place / f"server-{len(self._servers)}.log"
        server = await ServerProcess.spawn(log, "--database-url", self._database_url, **self.environment)
        self._servers.append(server)
        await server.ready()
        if len(self._servers) == 1:
            self.recorder.write("run", wall=time.time(), definitions=DEFINITIONS, servers=[])
            for name, fields in DEFINITIONS.items():
                await self.client(server).call("awf.definition/put", id=name, **fields)
        return server

    def client(self, server: ServerProcess, name: str = "client") -> "Caller":
        """A recorded client of a server."""
        client = RecordedClient(self.recorder, name, server.url.rpartition(":")[2], server.url)
        self._clients.append(client)
        return Caller(client)

    async def call_by_hand(self, url: str, *arguments: str) -> bytes:
        """Has the copy's own client make a call, as a command; answers what it wrote."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskrpc", "call", "--url", url, "--output", "json", *arguments),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        out, _ = await process.communicate()
        return out

    async def history(self) -> History:
        """Everything as it is now; ends the recording."""
        await collect(self._servers[0].url, self.recorder)
        self.recorder.close()
        return read_history(self._place)

    async def close(self) -> None:
        """Ends everything."""
        for client in self._clients:
            client.hang_up()
        await asyncio.gather(*(server.kill() for server in self._servers))


class Caller:
    """Calls that have to be answered."""

    def __init__(self, client: RecordedClient) -> None:
        self._client = client

    async def call(self, method: str, **params: Any) -> Any:
        """The result, or the error; the trace tells which."""
        reply = await self._client.call(method, **params)
        assert reply is not None
        return reply.body.get("result") or reply.body["error"]

    async def poll(self, **params: Any) -> list[Any]:
        """Tasks that were handed out, running."""
        resources: list[Any] = (await self.call("awf.task/long-poll", start=True, **params))["resources"]
        return resources

    async def succeed(self, task: Any, result: object = None) -> None:
        """The end of an execution."""
        await self.call("awf.task/success", id=task["id"], execId=task["execId"], result=result)


@contextlib.asynccontextmanager
async def staged(package: Path, place: Path, database_url: str) -> AsyncIterator[Stage]:
    """A stage for the length of the block."""
    stage = Stage(package, place, database_url)
    try:
        yield stage
    finally:
        await stage.close()
