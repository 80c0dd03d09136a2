"""The HTTP/1.1 protocol of `/rpc` on uvicorn's: less work per request, and limits that uvicorn does not have.

uvicorn reads all requests and serves those of other paths as ever. A request to `/rpc` becomes an Exchange instead of
an ASGI call: it is carried out when it is there as a whole, and answered by one write. Exchanges keep uvicorn's rules
for pipelines (one at a time, in order), keep-alive and shutdown. Deadlines are watched by one sweep over all
connections, instead of timers for each request.
"""

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from taskrpc.errors import TaskRpcError
from taskrpc.web import limits
from taskrpc.web.exchange import Exchange
from taskrpc.web.flow import Flow, Pipeline
from taskrpc.web.rpc_endpoint import Reply, RpcEndpoint

RPC_PATH: Final = b"/rpc"
FILES_PATH: Final = "/files/"
_UPGRADE_HEADERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class RpcProtocol(HttpToolsProtocol):
    """A connection. `endpoint` answers what comes to `/rpc`; the ASGI application of the config all other paths.

    `_phase` tells what is awaited: the "head" or the "body" of a request, "nothing" while the client may be silent, or
    the end of what is "discarded".
    """

    # With these in its dictionary that would be four times as large.
    __slots__ = ("_began_at", "_bytes", "_bytes_at_begin", "_current", "_heard_at", "_method", "_paused_at", "_phase")

    endpoint: RpcEndpoint
    transport: Any
    flow: Any
    cycle: Any  # the request that was read last: a cycle of uvicorn's, or an Exchange
    pipeline: Any

    def connection_made(self, transport: Any) -> None:
        """In the place of uvicorn's, whose addresses and buffers only requests to other paths need."""
        self.connections.add(self)
        self.transport = transport
        self.flow = Flow(transport)
        self.pipeline = Pipeline()
        self._current: Exchange | None = None
        self._paused_at: float | None = None
        self._phase = "head"
        self._bytes = self._bytes_at_begin = 0  # of the head, the body, or what was discarded
        self._method = b""
        self._began_at = self._heard_at = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._current is not None:
            self._current.caller.leave()
        if isinstance(self.cycle, Exchange):
            self.cycle = None  # uvicorn has nothing to tell it
        self._phase = "nothing"
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops and closes what nobody uses; a connection of which a head is awaited gets time for it.

        In two halves: a process that was held up for long runs its timers before it reads what has come meanwhile.
        """
        if self._phase == "head":
            half = limits.HEAD_SECONDS / 2
            self.loop.call_later(half, self.loop.call_later, half, super().shutdown)
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._paused_at = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._paused_at = None

    # What is read

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._heard_at = self.loop.time()
        self._bytes += len(data)
        self._bytes_at_begin = len(data) if self._phase in ("nothing", "head") else 0
        self._feed(data)
        if self._bytes > limits.MOST_HEAD_BYTES and self._bytes > self._most_bytes():  # the lowest of all limits
            self.transport.close()

    def _most_bytes(self) -> int:
        """How much may have come of a head, of a body with its chunks' heads and trailers, or after a refusal."""
        if self._phase == "head":
            return limits.MOST_HEAD_BYTES
        if self._is_upload():
            return self._bytes  # the limit of files is watched where they are read
        if self._phase == "body" and isinstance(self.cycle, Exchange):
            return limits.MOST_HEAD_BYTES + limits.CHUNK_OVERHEAD * max(self.cycle.size, self.cycle.head.length)
        return limits.MOST_DISCARDED

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._method != b"CONNECT":
                self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Reads a request anew that offers another protocol, without the offer: clients make it by default, and the
        parser skips the body of such a request."""
        head = [self._method + b" " + self.url + b" HTTP/1.1"]
        head += [b"%b: %b" % line for line in self.headers if line[0] not in _UPGRADE_HEADERS]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._feed(b"\r\n".join([*head, b"", rest]))

    def on_message_begin(self) -> None:
        self._phase = "head"
        self._bytes, self._bytes_at_begin = self._bytes_at_begin, 0
        self._began_at = self._heard_at
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == "head":  # trailers are of no interest
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._method = self.parser.get_method()
        if self.parser.should_upgrade() and self._method != b"CONNECT":
            return
        self._phase = "body"
        self._bytes = 0
        if self.url == RPC_PATH or httptools.parse_url(self.url).path == RPC_PATH:
            self._begin_exchange()
            return
        if self.client is None:
            self.server, self.client = get_local_addr(self.transport), get_remote_addr(self.transport)
            self.scheme = "http"
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def _begin_exchange(self) -> None:
        head = self.endpoint.head(dict(self.headers))
        self.headers.clear()
        keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
        exchange = Exchange(self._method.decode(), head, keep_alive and self._method != b"CONNECT")
        former, self.cycle = self.cycle, exchange
        if former is None or former.response_complete:
            self._current = exchange
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, None))
        if head.length > head.formats.limit:
            self._refuse(exchange, limits.too_large(head.formats.limit))
        elif self.expect_100_continue and exchange is self._current:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        exchange = self.cycle
        if not isinstance(exchange, Exchange):
            super().on_body(body)
            return
        exchange.add(body)
        limit = exchange.head.formats.limit
        if exchange.size > limit and exchange.refusal is None:
            self._refuse(exchange, limits.too_large(limit))

    def on_message_complete(self) -> None:
        if self._phase == "head":
            return  # of a request that offers another protocol
        exchange = self.cycle
        if not isinstance(exchange, Exchange) and self._is_upload():
            self._bytes = 0  # all of them were wanted
        self._phase = "nothing"
        if not isinstance(exchange, Exchange):
            super().on_message_complete()
            return
        exchange.whole = True
        if exchange.sent_at is not None:
            self.transport.close()  # it was refused before
        else:
            self._run(exchange)

    # What becomes of an exchange

    def _refuse(self, exchange: Exchange, refusal: TaskRpcError) -> None:
        """Answers before the request is whole, when it is this exchange's turn."""
        exchange.refuse(refusal)
        self._run(exchange)

    def _run(self, exchange: Exchange) -> None:
        if exchange is not self._current or exchange.task is not None:
            return
        exchange.task = self.loop.create_task(self._carry_out(exchange))
        self.tasks.add(exchange.task)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Called by uvicorn for a request of another path, and for whatever comes next in a pipeline."""
        if not isinstance(cycle, Exchange):
            super()._start_asgi_task(cycle, app)
            return
        self._current = cycle
        if cycle.whole or cycle.refusal is not None:
            self._run(cycle)

    async def _carry_out(self, exchange: Exchange) -> None:
        try:
            if exchange.refusal is not None:
                reply = self.endpoint.refuse(exchange.head, exchange.refusal)
            else:
                reply = await self.endpoint.answer(
                    exchange.method, exchange.head, exchange.take_body(), exchange.caller
                )
            self._send(exchange, reply)
            if self.flow.write_paused:
                await self.flow.drain()
        finally:
            try:
                if exchange.sent_at is None:
                    self.transport.close()
                    await exchange.caller.take_back()
            finally:
                self.tasks.discard(exchange.task)
        self._over(exchange)

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        if exchange.caller.is_gone or self.transport.is_closing():
            return
        self.transport.writelines(exchange.response(reply, self.server_state.default_headers))
        exchange.sent_at = self.loop.time()

    def _over(self, exchange: Exchange) -> None:
        """The client has taken the answer: the next request of the connection has its turn."""
        self.server_state.total_requests += 1
        self._current = None
        exchange.response_complete = True
        if self.transport.is_closing():
            return
        self._began_at = self._heard_at = self.loop.time()
        if exchange.keep_alive:
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        elif exchange.refusal is not None and exchange.refusal.type == "body-too-large" and not exchange.whole:
            self._phase = "discarded"
            self._bytes = 0
        else:
            self.transport.close()

    # Deadlines

    def sweep(self, now: float) -> None:
        """Ends what takes too long: a request that does not come, or a connection that nobody uses."""
        silent, lasting = now - self._heard_at, now - self._began_at
        sent_at = self._current.sent_at if self._current is not None else None
        if sent_at is not None and now - sent_at > limits.REQUEST_SECONDS:
            self.transport.abort()  # nobody takes the answer
        elif self._paused_at is not None and now - self._paused_at > limits.REQUEST_SECONDS:
            self.transport.abort()  # nor the next piece of a file
        elif self.flow.read_paused:
            pass  # the client waits for us
        elif self._phase == "nothing":
            if self._is_unused() and silent > limits.KEEP_ALIVE_SECONDS:
                self.transport.close()
        elif self._phase == "discarded":
            if silent > limits.QUIET_SECONDS or lasting > limits.REQUEST_SECONDS:
                self.transport.close()
        elif silent > limits.BYTE_SECONDS or (lasting > limits.REQUEST_SECONDS and not self._is_upload()):
            if self._phase == "body" and isinstance(self.cycle, Exchange):
                self._phase = "nothing"
                self._refuse(self.cycle, limits.too_slow())
            else:
                self.transport.close()

    def _is_upload(self) -> bool:
        """Whether the body of a file is under way, which may be as large and take as long as the storage lets it."""
        cycle = self.cycle
        if self._phase != "body" or cycle is None or isinstance(cycle, Exchange) or cycle.response_complete:
            return False
        return bool(cycle.scope["path"].startswith(FILES_PATH))

    def _is_unused(self) -> bool:
        return self._current is None and (self.cycle is None or self.cycle.response_complete)
