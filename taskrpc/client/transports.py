"""The two thin transports: they drive an exchange over HTTP, the one blocking, the other on an event loop."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from taskrpc.errors import TaskRpcError
from taskrpc.wire.codecs import JSON

from .contact import Contact
from .exchange import Answer, Attempt, Broken, Exchange, Reply, exchange, read_batch, read_result
from .methods import Methods
from .request import Request
from .retry import RetryPolicy
from .tls import trust

# The long polls and the calls of many running tasks share one client: none waits for another's connection.
_LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
_CONNECT_TIMEOUT: Final = 5.0

Entry = tuple[str, Mapping[str, Any]]


class _Endpoint:
    """What both clients share: where to send, how long to wait for it, how often to try."""

    def __init__(self, url: str, api_key: str | None, timeout: float, retry: RetryPolicy | None) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
            raise ValueError(f"{url!r} is no address of a service: it has to be like http://127.0.0.1:8080")
        self.url = url.rstrip("/").removesuffix("/rpc") + "/rpc"
        self.headers = {"content-type": "application/json", "accept": "application/json"}
        if api_key is not None:
            self.headers["x-api-key"] = api_key
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        # A call that never gives up never raises either: then the log alone tells of an outage.
        self._contact = Contact(self.url, logging.WARNING if math.isinf(self._retry.budget) else logging.INFO)

    def exchange_single(self, request: Request) -> Exchange:
        return exchange(self._contact, JSON.encode(request.to_wire()), request.server_wait, self._retry)

    def exchange_batch(self, requests: list[Request]) -> Exchange:
        body = JSON.encode([request.to_wire() for request in requests])
        return exchange(self._contact, body, sum(request.server_wait for request in requests), self._retry)

    def timeouts(self, attempt: Attempt) -> httpx2.Timeout:
        return httpx2.Timeout(self._timeout + attempt.server_wait, connect=_CONNECT_TIMEOUT)


class Client(Methods[dict[str, Any]]):
    """A blocking client; a context manager, or to be closed with `close()`. Threads may share it.

    `timeout` is how long the server may take to answer, in seconds, on top of what a call asks it to wait.
    Calls that broke are repeated as `retry` says. Raises `ValueError` for a URL that is none.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 30.0, retry: RetryPolicy | None = None
    ) -> None:
        self._endpoint = _Endpoint(url, api_key, timeout, retry)
        self._http = httpx2.Client(headers=self._endpoint.headers, limits=_LIMITS, verify=trust())

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = Request.prepare(method, params)
        return read_result(request, self._drive(self._endpoint.exchange_single(request)))

    def batch(self, calls: Iterable[Entry]) -> list[dict[str, Any] | TaskRpcError]:
        """Send `(method, params)` pairs in one message; one result or error for each, in their order."""
        requests = [Request.prepare(method, params) for method, params in calls]
        return read_batch(requests, self._drive(self._endpoint.exchange_batch(requests))) if requests else []

    def _drive(self, course: Exchange) -> Answer:
        outcome: Reply | Broken | None = None
        while True:
            try:
                step = course.send(outcome)
            except StopIteration as answered:
                return _answer(answered)
            if isinstance(step, Attempt):
                outcome = self._post(step)
            else:
                time.sleep(step.seconds)
                outcome = None

    def _post(self, attempt: Attempt) -> Reply | Broken:
        timeout = self._endpoint.timeouts(attempt)
        try:
            return _reply(self._http.post(self._endpoint.url, content=attempt.body, timeout=timeout))
        except httpx2.TransportError as error:
            return _broken(error)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Methods[Awaitable[dict[str, Any]]]):
    """The same for an event loop; an async context manager, or to be closed with `await close()`."""

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 30.0, retry: RetryPolicy | None = None
    ) -> None:
        self._endpoint = _Endpoint(url, api_key, timeout, retry)
        self._http = httpx2.AsyncClient(headers=self._endpoint.headers, limits=_LIMITS, verify=trust())

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = Request.prepare(method, params)
        return read_result(request, await self._drive(self._endpoint.exchange_single(request)))

    async def batch(self, calls: Iterable[Entry]) -> list[dict[str, Any] | TaskRpcError]:
        """Send `(method, params)` pairs in one message; one result or error for each, in their order."""
        requests = [Request.prepare(method, params) for method, params in calls]
        if not requests:
            return []
        return read_batch(requests, await self._drive(self._endpoint.exchange_batch(requests)))

    async def _drive(self, course: Exchange) -> Answer:
        outcome: Reply | Broken | None = None
        while True:
            try:
                step = course.send(outcome)
            except StopIteration as answered:
                return _answer(answered)
            if isinstance(step, Attempt):
                outcome = await self._post(step)
            else:
                await asyncio.sleep(step.seconds)
                outcome = None

    async def _post(self, attempt: Attempt) -> Reply | Broken:
        timeout = self._endpoint.timeouts(attempt)
        try:
            return _reply(await self._http.post(self._endpoint.url, content=attempt.body, timeout=timeout))
        except httpx2.TransportError as error:
            return _broken(error)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _answer(answered: StopIteration) -> Answer:
    assert isinstance(answered.value, Answer)
    return answered.value


def _reply(response: httpx2.Response) -> Reply:
    asked = response.headers.get("retry-after", "")
    return Reply(response.status_code, response.content, float(asked) if asked.isdecimal() else 0.0)


def _broken(error: httpx2.TransportError) -> Broken:
    """httpx leaves the message of a timeout empty; its name says which one it was."""
    return Broken(str(error) or type(error).__name__)
