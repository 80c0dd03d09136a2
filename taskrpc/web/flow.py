"""What a connection keeps at all times, as small as it can be: thousands of them do nothing but wait."""

import asyncio
from typing import Any


class Flow:
    """Stops and resumes a connection's reading and writing; in the place of uvicorn's, which has an event in each."""

    __slots__ = ("_transport", "_writable", "read_paused", "write_paused")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._writable: asyncio.Event | None = None
        self.read_paused = False
        self.write_paused = False

    async def drain(self) -> None:
        """Waits until the client has taken enough of what was written."""
        if self.write_paused:
            if self._writable is None:
                self._writable = asyncio.Event()
            await self._writable.wait()

    def pause_reading(self) -> None:
        """Lets the client wait with what it sends."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client takes nothing at the moment."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The client takes more, or is gone."""
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None


class Pipeline(list[tuple[Any, Any]]):
    """Requests of a connection that have come before the answer to the one before; the last of the list is the next."""

    __slots__ = ()

    def appendleft(self, request: tuple[Any, Any]) -> None:
        """Puts a request behind the others."""
        self.insert(0, request)
