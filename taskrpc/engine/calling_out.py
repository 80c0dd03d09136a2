"""HTTP requests to addresses that others have named: only to such as may be called.

A name is resolved here and the connection goes to the very address that was looked at; so a name that is resolved anew,
to something else, gains nothing. Redirects are not followed.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import httpcore2

from taskrpc.core.callback import Network, may_be_called
from taskrpc.errors import TaskRpcError

CONNECT_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 15.0
MOST_ANSWER_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class Answered:
    """A status, and how the body begins."""

    status: int
    body: str


class _Guarded(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that may be called, and to no others."""

    def __init__(self, allowed: Iterable[Network]) -> None:
        self._backend = httpcore2.AnyIOBackend()
        self._allowed = tuple(allowed)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the name is the library's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        fine = [address for address in addresses if may_be_called(address, self._allowed)]
        if not fine:
            raise refused_address(host, addresses)
        for address in fine[:-1]:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._backend.connect_tcp(fine[-1], port, timeout, local_address, socket_options)


def refused_address(host: str, addresses: list[str]) -> TaskRpcError:
    """`forbidden` for a host that may not be called."""
    where = f" ({', '.join(addresses[:5])})" if addresses and addresses != [host] else ""
    return TaskRpcError(
        "forbidden", f"{host}{where} is not reached through the internet; see --callback-networks to allow a network"
    )


class Outside:
    """Posts to others. Raises `forbidden` for addresses that may not be called, `unavailable` without an answer."""

    def __init__(self, allowed: Iterable[Network]) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            network_backend=_Guarded(allowed), max_connections=100, max_keepalive_connections=0
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Posts a body; whatever is answered within REQUEST_SECONDS is an answer."""
        timeouts = {
            "connect": CONNECT_SECONDS,
            "read": REQUEST_SECONDS,
            "write": REQUEST_SECONDS,
            "pool": REQUEST_SECONDS,
        }
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._pool.stream(
                    "POST", url, headers=lines, content=body, extensions={"timeout": timeouts}
                ) as response,
            ):
                return Answered(response.status, await _beginning(response))
        except TimeoutError:
            raise TaskRpcError("unavailable", f"There was no answer within {REQUEST_SECONDS:.0f} s") from None
        except UnicodeError:
            raise TaskRpcError("unavailable", "It cannot be reached: its name is none that can be looked up") from None
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
            raise TaskRpcError("unavailable", f"It cannot be reached: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Closes what is open."""
        await self._pool.aclose()


async def _beginning(response: httpcore2.Response) -> str:
    content = b""
    async for piece in response.aiter_stream():
        content += piece
        if len(content) >= MOST_ANSWER_BYTES:
            break
    return content[:MOST_ANSWER_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
