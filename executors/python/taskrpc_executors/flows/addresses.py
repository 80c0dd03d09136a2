"""Which addresses HTTP requests of tasks may go to."""

import asyncio
import socket

import httpx2

from taskrpc.core.callback import may_be_called


class PublicOnly(httpx2.AsyncBaseTransport):
    """Connects to public addresses only, whatever names resolve to, redirects included.

    A name is resolved here, and the connection goes to the address that was looked at: a second answer of the name
    server changes nothing.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        address = await _public_address(request)
        # Another request: where this one leads to further is told by its own address.
        there = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return await self._inner.handle_async_request(there)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _public_address(request: httpx2.Request) -> str:
    host = request.url.host
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx2.ConnectError(f"{host}: {error.strerror}", request=request) from None
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        if not may_be_called(address, ()):
            raise httpx2.ConnectError(f"{host} is {address}, which is no public address", request=request)
    return addresses[0]
