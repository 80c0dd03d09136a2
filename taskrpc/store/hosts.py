"""Connecting to a database that is on one of several hosts: a highly available PostgreSQL, of which one node takes
writes.

All hosts are asked at the same time, and the first that takes writes is taken. One after the other would not do: a
node that is frozen, or cut off, takes a connection and never says a word, and would use up the time of those behind it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

Connection = Any  # asyncpg.Connection

_PAUSE_SECONDS: Final = 0.2


def single_hosts(url: str) -> list[str]:
    """The URL of each host of a URL, `postgresql://a:5432,b:5433/name` or `…?host=/a,/b`.

    Where there are several, only one that takes writes will do, unless the URL says `target_session_attrs` itself.
    """
    parts = urlsplit(url)
    user, at, netloc = parts.netloc.rpartition("@")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    hosts, places = netloc.split(","), query.get("host", "").split(",")
    if len(hosts) == len(places) == 1:
        return [url]
    query.setdefault("target_session_attrs", "read-write")
    if len(hosts) > 1:
        return [f"{parts.scheme}://{user}{at}{host}{parts.path}?{urlencode(query)}" for host in hosts]
    ports = query.get("port", "5432").split(",")
    ports = ports * len(places) if len(ports) == 1 else ports
    several = [urlencode(query | {"host": place, "port": port}) for place, port in zip(places, ports, strict=True)]
    return [f"{parts.scheme}://{parts.netloc}{parts.path}?{each}" for each in several]


async def connect(url: str, **options: Any) -> Connection:
    """A connection as `asyncpg.connect` makes it, to whichever host of the URL takes writes; raises what that
    raises."""
    urls = single_hosts(url)
    if len(urls) == 1:
        return await asyncpg.connect(url, **options)
    refusing: set[str] = set()

    def has_silent() -> bool:
        return len(refusing) < len(urls)

    attempts = [asyncio.ensure_future(_ask(each, refusing, has_silent, options)) for each in urls]
    try:
        chosen = await _first(attempts)
    except BaseException:
        _give_up(attempts)
        raise
    _give_up([attempt for attempt in attempts if attempt is not chosen])
    return chosen.result()


async def _ask(url: str, refusing: set[str], has_silent: Callable[[], bool], options: dict[str, Any]) -> Connection:
    """Asks one host, and again as long as another one says nothing: a standby may become the primary meanwhile."""
    while True:
        try:
            return await asyncpg.connect(url, **options)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            refusing.add(url)
            if not has_silent():
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


async def _first(attempts: Sequence["asyncio.Future[Connection]"]) -> "asyncio.Future[Connection]":
    """The first that succeeds; raises the last error when none does."""
    pending = set(attempts)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            error = attempt.exception()
            if error is None:
                return attempt
    raise error or asyncio.CancelledError


def _give_up(attempts: Sequence["asyncio.Future[Connection]"]) -> None:
    """Ends attempts, and what they may have reached or reach yet."""
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_terminate)


def _terminate(attempt: "asyncio.Future[Connection]") -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
