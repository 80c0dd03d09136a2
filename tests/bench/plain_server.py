"""A plain server: one transaction per call, on a pool of eight. `python -m tests.bench.plain_server`

The same schema and statements as the service's, with arrays of one, on uvicorn as it comes; raw ASGI, orjson, prepared
statements. It checks nothing, so that what is compared is the way calls come to the database.
"""

import argparse
import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import orjson
import uvicorn
import uvloop

from taskrpc.core.model import Resource, task_resource
from taskrpc.store.database import Database
from taskrpc.wire.codecs import JSON
from tests.bench import statements

POOL: Final = 8
Message = MutableMapping[str, Any]
Method = Callable[[Mapping[str, Any]], Awaitable[Resource]]


class Refused(Exception):
    """The call does not fit the task."""


class PlainServer:
    """The methods that a life cycle takes, as an ASGI application."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._methods: Mapping[str, Method] = {
            "awf.task/create-and-execute": self._create,
            "awf.task/poll": self._poll,
            "awf.task/start": self._start,
            "awf.task/success": self._success,
        }

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answers one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        call = orjson.loads(body)
        try:
            status, answer = 200, JSON.encode({"result": await self._methods[call["method"]](call["params"])})
        except Refused:
            status, answer = 422, JSON.encode({"error": {"type": "refused", "message": "it does not fit the task"}})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _rows(self, statement: list[Any]) -> list[Any]:
        async with self._database.connection() as connection:
            rows: list[Any] = await connection.fetch(*statement)
            return rows

    async def _create(self, params: Mapping[str, Any]) -> Resource:
        (row,) = await self._rows(statements.create([orjson.dumps(params["params"]).decode()]))
        return {"resource": task_resource(row)}

    async def _poll(self, params: Mapping[str, Any]) -> Resource:
        rows = await self._rows(statements.claim(params["maxBatchSize"]))
        return {"resources": [task_resource(row) for row in rows if row["id"] is not None]}

    async def _start(self, params: Mapping[str, Any]) -> Resource:
        execution = params["id"], params["execId"]
        return await self._changed(lambda: statements.start([execution]), execution, "requested")

    async def _success(self, params: Mapping[str, Any]) -> Resource:
        execution, result = (params["id"], params["execId"]), orjson.dumps(params["result"]).decode()
        return await self._changed(lambda: statements.success([execution], [result]), execution, "in-progress")

    async def _changed(
        self, statement: Callable[[], list[Any]], execution: statements.Execution, status: str
    ) -> Resource:
        """Sends the statement again while the row fits, but is locked: a claim looked at it."""
        while True:
            rows = await self._rows(statement())
            if rows and rows[0]["applied"]:
                return {"resource": task_resource(rows[0])}
            if not rows or (rows[0]["exec_id"], rows[0]["status"]) != (execution[1], status):
                raise Refused


async def _serve(database_url: str) -> None:
    database = Database(database_url, connections=POOL)
    await database.open()
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(PlainServer(database), log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(server, "should_exit", True))
    print(f"taskrpc is ready: POST http://127.0.0.1:{listening.getsockname()[1]}/rpc", flush=True)
    await server.serve(sockets=[listening])
    await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--database-url", required=True)
    uvloop.run(_serve(parser.parse_args().database_url))
