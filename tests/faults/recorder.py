"""Writing a history, and clients that write down what they ask and hear: each call is one attempt."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from tests.faults.history import OPEN_ENDED
from tests.services import Reply
from tests.system.wire import Wire

PATIENCE_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 3.0
_LARGEST_GAP_SECONDS: Final = 0.5
_PULSE_SECONDS: Final = 0.1


class Writer(Protocol):
    """Takes the lines of a history."""

    def write(self, kind: str, **fields: Any) -> None: ...


class Recorder:
    """Appends lines to a file, each with one system call, so that whatever was written outlives a `kill -9`."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.clock = clock

    def write(self, kind: str, **fields: Any) -> None:
        """One line, of now."""
        line = json.dumps({"kind": kind, "at": round(self.clock(), 6), **fields}, ensure_ascii=False)
        os.write(self._descriptor, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)

    async def watch_stalls(self) -> None:
        """Writes down, until it is cancelled, when this process did not get the processor: then nothing is late."""
        while True:
            before = self.clock()
            await asyncio.sleep(_PULSE_SECONDS)
            if self.clock() - before > _LARGEST_GAP_SECONDS:
                self.write("stall", since=round(before, 6))


class RecordedClient:
    """One client of one server, with one connection at a time; an answer that did not come is `info`."""

    def __init__(self, recorder: Recorder, client: str, server: str, url: str) -> None:
        self._recorder = recorder
        self._client = client
        self._server = server
        self._url = url
        self._wire: Wire | None = None
        self._numbers = itertools.count(1)

    async def call(self, method: str, **params: Any) -> Reply | None:
        """One attempt; None when nobody knows what became of it, or when the server could not be reached."""
        op = f"{self._client}@{self._server}:{next(self._numbers)}"
        shown = {"client": self._client, "server": self._server, "method": method, "params": params}
        self._recorder.write("invoke", op=op, **shown)
        if not await self._connect():
            self._recorder.write("fail", op=op, error={"type": "not-connected"})
            return None
        try:
            reply = await self._exchange(method, params)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as broken:
            self.hang_up()
            self._recorder.write("info", op=op, why=type(broken).__name__)
            return None
        except asyncio.CancelledError:
            self.hang_up()
            self._recorder.write("info", op=op, why="cancelled")
            raise
        self._write_answer(op, reply)
        return reply

    async def _connect(self) -> bool:
        if self._wire is not None:
            return True
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self._wire = await Wire.open(self._url)
        except (OSError, TimeoutError):
            return False
        return True

    async def _exchange(self, method: str, params: dict[str, Any]) -> Reply:
        assert self._wire is not None
        waits = params.get("poll", params).get("timeout", 0) / 1000
        async with asyncio.timeout(PATIENCE_SECONDS + waits):
            return await self._wire.call(method, **params)

    def _write_answer(self, op: str, reply: Reply) -> None:
        if reply.status == 200:
            self._recorder.write("ok", op=op, answer=reply.result)
            return
        kind = "info" if reply.error["type"] in OPEN_ENDED else "fail"
        self._recorder.write(kind, op=op, error=reply.error)

    def hang_up(self) -> None:
        """Breaks the connection, as a client does that died."""
        if self._wire is not None:
            self._wire.hang_up()
            self._wire = None
