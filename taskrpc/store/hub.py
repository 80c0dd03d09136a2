"""Hints between servers, by NOTIFY: which queues got tasks, which tasks are done, which executions of flows have
something in their inbox, that definitions or keys changed.

A hint is only that: whoever waits also looks for itself now and then. They are gathered and sent after the commits,
at once and then at most every PAUSE_SECONDS, and those about tasks only while another server has said that it waits
for such hints; a NOTIFY in every transaction would cost three quarters of the throughput.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, Protocol

import asyncpg
import orjson

from taskrpc.core.ids import uuid7
from taskrpc.core.model import Queue
from taskrpc.store.hosts import connect

log = logging.getLogger(__name__)

CHANNEL: Final = "taskrpc"
PAUSE_SECONDS: Final = 0.02
ANNOUNCE_SECONDS: Final = 1.0
_INTEREST_SECONDS: Final = 3.0
_MOST_BYTES: Final = 7900  # PostgreSQL's limit for a payload is 8000
_RECONNECT_SECONDS: Final = 0.5
# InternalClientError: the connection was closed while a statement was being sent.
_BROKEN: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Listener(Protocol):
    """Who is told of hints; None stands for "whatever it may be, look for yourself"."""

    def queued_elsewhere(self, queues: Iterable[Queue] | None) -> None: ...
    def ended_elsewhere(self, ids: Iterable[str] | None) -> None: ...
    def told_elsewhere(self, ids: Iterable[str]) -> None: ...
    def definitions_changed(self) -> None: ...
    def keys_changed(self) -> None: ...
    def interests(self) -> set[str]: ...


class Hub:
    """One server's end of the channel. `run` has to run as long as hints are wanted."""

    def __init__(self, url: str, listener: Listener) -> None:
        self._url = url
        self._listener = listener
        self._server = uuid7()
        self._queues: set[Queue] = set()
        self._ended: set[str] = set()
        self._told: set[str] = set()
        self._everything: set[str] = set()
        self._definitions = False
        self._hello = False
        self._announced: set[str] = set()
        self._announce_at = 0.0
        self._will_announce = False
        self._others_want: dict[str, float] = {}
        self._poke = asyncio.Event()

    def queued(self, queues: Iterable[Queue]) -> None:
        """Hands on that queues got tasks, if anybody wants to know."""
        if self._wanted("queued"):
            self._queues.update(queues)
            self._poke.set()

    def ended(self, ids: Iterable[str]) -> None:
        """Hands on that tasks are done, if anybody wants to know."""
        if self._wanted("ended"):
            self._ended.update(ids)
            self._poke.set()

    def told(self, ids: Iterable[str]) -> None:
        """Hands on that executions have something in their inbox, to the server that has them in memory."""
        self._told.update(ids)
        self._poke.set()

    def definitions_changed(self) -> None:
        """Hands on that definitions changed."""
        self._definitions = True
        self._poke.set()

    def interest(self, what: str) -> None:
        """Somebody began to wait on this server, for tasks ("queued") or for an end ("ended"): others should know."""
        if what not in self._announced or not self._will_announce:
            self._poke.set()

    def _wanted(self, what: str) -> bool:
        return self._others_want.get(what, 0) > asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Runs for ever; a connection that breaks is made anew, and then everybody has to look for themselves."""
        while True:
            try:
                await self._serve()
            except _BROKEN as error:
                log.info("the connection for hints broke: %s", error)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _serve(self) -> None:
        connection = await connect(self._url, timeout=5, command_timeout=10)
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: self._end(broken))
        try:
            await connection.add_listener(CHANNEL, lambda *message: self._receive(message[3]))
            self._listener.queued_elsewhere(None)
            self._listener.ended_elsewhere(None)
            self._listener.definitions_changed()
            self._listener.keys_changed()
            self._hello = True
            while not broken.is_set():
                await self._send(connection)
                await asyncio.sleep(PAUSE_SECONDS)
                await self._wait_for_work()
        finally:
            connection.terminate()

    def _end(self, broken: asyncio.Event) -> None:
        broken.set()
        self._poke.set()

    async def _wait_for_work(self) -> None:
        self._will_announce = bool(self._listener.interests())
        remaining = max(self._announce_at - asyncio.get_running_loop().time(), 0)
        try:
            async with asyncio.timeout(remaining if self._will_announce else None):
                await self._poke.wait()
        except TimeoutError:
            pass  # time to announce again what is waited for here

    async def _send(self, connection: Any) -> None:
        self._poke.clear()
        message = self._wants()
        if self._hello:
            message["hello"] = True
        if self._definitions:
            message["definitions"] = True
        for key, pending in (("queued", self._queues), ("ended", self._ended)):
            if key in self._everything:
                message[key] = None
            elif pending:
                message[key] = list(pending)
        if self._told:
            message["told"] = list(self._told)
        self._queues, self._ended, self._told, self._everything = set(), set(), set(), set()
        self._definitions = self._hello = False
        if message:
            await connection.execute("select pg_notify($1, $2)", CHANNEL, self._payload(message))

    def _wants(self) -> dict[str, object]:
        """What is waited for here, when there is something new in it or the others are about to forget it."""
        now = asyncio.get_running_loop().time()
        interests = self._listener.interests()
        if now >= self._announce_at:
            self._announced = set()
        if interests <= self._announced:
            return {}
        self._announced, self._announce_at = interests, now + ANNOUNCE_SECONDS
        return {"wants": sorted(interests)}

    def _payload(self, message: dict[str, object]) -> str:
        payload = orjson.dumps({"from": self._server, **message})
        if len(payload) > _MOST_BYTES:
            short = {key: None if key in ("queued", "ended") else value for key, value in message.items()}
            short.pop("told", None)  # whoever handed it on looks itself, a little later
            payload = orjson.dumps({"from": self._server, **short})
        return payload.decode()

    def _receive(self, payload: str) -> None:
        try:
            message = orjson.loads(payload) if payload else {"queued": None}
        except orjson.JSONDecodeError:
            message = {"queued": None}
        if not isinstance(message, dict) or message.get("from") == self._server:
            return
        self._react(message)

    def _react(self, message: dict[str, Any]) -> None:
        if message.get("hello"):  # a server that is new here knows of nobody's wants
            self._announced = set()
            self._poke.set()
        until = asyncio.get_running_loop().time() + _INTEREST_SECONDS
        for what in map(str, message.get("wants") or ()):
            if not self._wanted(what):  # what happened before this was told to nobody
                self._everything.add(what)
                self._poke.set()
            self._others_want[what] = until
        if "queued" in message:
            queues = message["queued"]
            self._listener.queued_elsewhere(None if queues is None else [tuple(queue) for queue in queues])
        if "ended" in message:
            self._listener.ended_elsewhere(message["ended"])
        if message.get("told"):
            self._listener.told_elsewhere(map(str, message["told"]))
        if message.get("definitions"):
            self._listener.definitions_changed()
        if message.get("keys"):
            self._listener.keys_changed()
